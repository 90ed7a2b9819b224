// NOT COMPILED HERE: edgekd's tests compile the OpenVINO sample only. The exit code of its first run tells whether this one holds.
//
// What images show, by TensorRT 10 or newer, or by TensorRT for RTX, which has the same interface. README.txt says how to build and run it.
// The engine is built anew each time it starts, which takes a while; a program that ships keeps what buildSerializedNetwork gave.

#include <NvInfer.h>
#include <NvOnnxParser.h>
#include <cuda_runtime_api.h>

#include <memory>

#include "pack.h"

namespace trt = nvinfer1;

class Logger : public trt::ILogger {
    void log(Severity severity, const char* text) noexcept override {
        if (severity <= Severity::kERROR) std::cerr << text << "\n";
    }
};

template <typename T>
std::unique_ptr<T> made(T* object, const char* what) {
    if (object == nullptr) throw std::runtime_error(std::string("TensorRT gives no ") + what + "; its own words stand above");
    return std::unique_ptr<T>(object);
}

void hold(bool fine, const char* what) {
    if (!fine) throw std::runtime_error(std::string(what) + " failed; TensorRT's own words stand above");
}

void hold(cudaError_t code, const char* what) {
    if (code != cudaSuccess) throw std::runtime_error(std::string(what) + " failed: " + cudaGetErrorString(code));
}

int main(int argc, char** argv) try {
    const Pack pack;
    const char *input = pack.input.c_str(), *output = pack.output.c_str();
    Logger logger;

    const auto builder = made(trt::createInferBuilder(logger), "builder");
    // Strongly typed: each layer runs in the precision that the file states. TensorRT 11 always does so, and calls the flag deprecated.
    const auto network = made(builder->createNetworkV2(1U << static_cast<uint32_t>(trt::NetworkDefinitionCreationFlag::kSTRONGLY_TYPED)), "network");
    const auto parser = made(nvonnxparser::createParser(*network, logger), "parser");
    hold(parser->parseFromFile("model.onnx", static_cast<int>(trt::ILogger::Severity::kERROR)), "reading model.onnx");
    const auto config = made(builder->createBuilderConfig(), "configuration");
    config->clearFlag(trt::BuilderFlag::kTF32);  // it is coarser than the answers that are expected
    trt::IOptimizationProfile* profile = builder->createOptimizationProfile();
    const trt::Dims4 shape(pack.shape[0], pack.shape[1], pack.shape[2], pack.shape[3]);
    for (const auto which : {trt::OptProfileSelector::kMIN, trt::OptProfileSelector::kOPT, trt::OptProfileSelector::kMAX}) {
        hold(profile->setDimensions(input, which, shape), "fixing the input's shape");
    }
    hold(config->addOptimizationProfile(profile) >= 0, "fixing the input's shape");
    const auto plan = made(builder->buildSerializedNetwork(*network, *config), "engine");
    const auto runtime = made(trt::createInferRuntime(logger), "runtime");
    const auto engine = made(runtime->deserializeCudaEngine(plan->data(), plan->size()), "engine");
    const auto context = made(engine->createExecutionContext(), "context");

    const size_t answers = pack.batch * pack.classes.size();
    void *images = nullptr, *logits = nullptr;
    cudaStream_t stream = nullptr;
    hold(cudaStreamCreate(&stream), "cudaStreamCreate");
    hold(cudaMalloc(&images, pack.batch * pack.height * pack.width * pack.channels * sizeof(float)), "cudaMalloc");
    hold(cudaMalloc(&logits, answers * sizeof(float)), "cudaMalloc");
    hold(context->setInputShape(input, shape) && context->setTensorAddress(input, images) && context->setTensorAddress(output, logits), "binding");

    const int code = answer_all(pack, argc, argv, [&](std::vector<float> values) {
        std::vector<float> found(answers);
        hold(cudaMemcpyAsync(images, values.data(), values.size() * sizeof(float), cudaMemcpyHostToDevice, stream), "copying");
        hold(context->enqueueV3(stream), "inference");
        hold(cudaMemcpyAsync(found.data(), logits, answers * sizeof(float), cudaMemcpyDeviceToHost, stream), "copying");
        hold(cudaStreamSynchronize(stream), "inference");
        found.resize(pack.classes.size());
        return found;
    });
    cudaFree(images);
    cudaFree(logits);
    cudaStreamDestroy(stream);
    return code;
} catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
}
