// NOT COMPILED HERE: edgekd's tests compile the OpenVINO sample only. The exit code of its first run tells whether this one holds.
//
// What images show, by ONNX Runtime on the CPU. README.txt says how to build and run it.

#include <onnxruntime_cxx_api.h>

#include "pack.h"

int main(int argc, char** argv) try {
    const Pack pack;
    Ort::Env env(ORT_LOGGING_LEVEL_WARNING, "sample");
    env.DisableTelemetryEvents();
    Ort::SessionOptions options;  // what it leaves out rounds the float bias of int8 files for TensorRT to something else
    options.AddConfigEntry("optimization.disable_specified_optimizers", "WeightBiasQuantization");
    Ort::Session session(env, ORT_TSTR("model.onnx"), options);
    const Ort::MemoryInfo memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const char* input = pack.input.c_str();
    const char* output = pack.output.c_str();
    return answer_all(pack, argc, argv, [&](std::vector<float> values) {
        const Ort::Value images = Ort::Value::CreateTensor<float>(memory, values.data(), values.size(), pack.shape.data(), pack.shape.size());
        const std::vector<Ort::Value> answers = session.Run(Ort::RunOptions(), &input, &images, 1, &output, 1);
        const float* first = answers[0].GetTensorData<float>();
        return std::vector<float>(first, first + answers[0].GetTensorTypeAndShapeInfo().GetElementCount() / pack.batch);
    });
} catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
}
