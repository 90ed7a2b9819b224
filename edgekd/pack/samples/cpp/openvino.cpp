// What images show, by OpenVINO on the CPU. README.txt says how to build and run it. edgekd's own tests compile and run this sample.

#include <openvino/openvino.hpp>

#include "pack.h"

int main(int argc, char** argv) try {
    const Pack pack;
    ov::Core core;
    // Left to itself, a CPU that has bf16 computes in it, more coarsely than the answers that are expected.
    ov::CompiledModel model = core.compile_model("model.onnx", "CPU", ov::hint::inference_precision(ov::element::f32));
    ov::InferRequest request = model.create_infer_request();
    return answer_all(pack, argc, argv, [&](std::vector<float> values) {
        request.set_input_tensor(ov::Tensor(ov::element::f32, ov::Shape(pack.shape.begin(), pack.shape.end()), values.data()));
        request.infer();
        const ov::Tensor answers = request.get_tensor(pack.output);
        return std::vector<float>(answers.data<const float>(), answers.data<const float>() + answers.get_size() / pack.batch);
    });
} catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
}
