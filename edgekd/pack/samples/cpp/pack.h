// What the C++ samples share: the pack's text files, its images, and the check of answers. C++17, the standard library only.
//
// In: preprocess.txt, classes.txt and expected.txt of the folder that the program is started in, and images that have the network's
// size already, as binary PPM (colour) or PGM (grey). Larger ones must be scaled and cut first: README.txt says how.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using Table = std::map<std::string, std::string>;

inline std::vector<std::string> lines(const std::string& name) {
    std::ifstream file(name);
    if (!file) throw std::runtime_error("no " + name + " here: start the sample in the folder that holds README.txt");
    std::vector<std::string> found;
    for (std::string line; std::getline(file, line); found.push_back(line)) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
    }
    return found;
}

// The lines `key = value` of a text file.
inline Table table(const std::string& name) {
    Table found;
    for (const std::string& line : lines(name)) {
        const auto equals = line.find(" = ");
        if (line[0] != '#' && equals != std::string::npos) found[line.substr(0, equals)] = line.substr(equals + 3);
    }
    return found;
}

inline std::vector<float> numbers(const std::string& text) {
    std::istringstream stream(text);
    std::vector<float> found;
    for (float number; stream >> number;) found.push_back(number);
    return found;
}

struct Pack {
    Table how = table("preprocess.txt"), expected = table("expected.txt");
    std::vector<std::string> classes = lines("classes.txt");
    std::string input = how.at("input"), output = how.at("output");
    int64_t batch = std::stoll(how.at("batch")), channels = std::stoll(how.at("channels"));
    int64_t height = std::stoll(how.at("height")), width = std::stoll(how.at("width"));
    bool channels_first = how.at("layout") == "nchw";
    std::vector<int64_t> shape = channels_first ? std::vector<int64_t>{batch, channels, height, width}
                                                : std::vector<int64_t>{batch, height, width, channels};
};

// The bytes (height, width, channels) of a PPM or PGM file.
inline std::vector<unsigned char> pixels(const Pack& pack, const std::string& name) {
    std::ifstream file(name, std::ios::binary);
    if (!file) throw std::runtime_error("no image at " + name);
    std::string head[4];  // P5 or P6, width, height, the largest value
    for (std::string& word : head) {
        while (file >> word && word[0] == '#') std::getline(file, word);
    }
    file.get();
    const std::string wanted[4] = {pack.channels == 1 ? "P5" : "P6", std::to_string(pack.width), std::to_string(pack.height), "255"};
    std::vector<unsigned char> bytes(pack.height * pack.width * pack.channels);
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!file || !std::equal(head, head + 4, wanted)) {
        throw std::runtime_error(name + " is no binary " + (pack.channels == 1 ? "PGM" : "PPM") + " file of " + wanted[1] + "x" + wanted[2] +
                                 " pixels (width x height): scale and cut it first, as README.txt says");
    }
    return bytes;
}

// One image, normalised and in the network's layout, as often as the file's batch is long.
inline std::vector<float> prepared(const Pack& pack, const std::string& name) {
    const std::vector<unsigned char> bytes = pixels(pack, name);
    const std::vector<float> mean = numbers(pack.how.at("mean")), std = numbers(pack.how.at("std"));
    const bool bgr = pack.how.at("colour") == "bgr";
    const int64_t h = pack.height, w = pack.width, c = pack.channels;
    std::vector<float> values(pack.batch * h * w * c);
    for (int64_t y = 0; y < h; ++y) {
        for (int64_t x = 0; x < w; ++x) {
            for (int64_t k = 0; k < c; ++k) {
                const float value = bytes[(y * w + x) * c + (bgr ? c - 1 - k : k)] / 255.0f;
                values[pack.channels_first ? (k * h + y) * w + x : (y * w + x) * c + k] = (value - mean[k]) / std[k];
            }
        }
    }
    for (int64_t n = 1; n < pack.batch; ++n) std::copy_n(values.begin(), h * w * c, values.begin() + n * h * w * c);
    return values;
}

// The three likeliest classes with their probabilities.
inline std::string likeliest(const Pack& pack, std::vector<float> shares) {
    if (pack.how.at("answers") == "logits") {
        const float most = *std::max_element(shares.begin(), shares.end());
        for (float& share : shares) share = std::exp(share - most);
    }
    const float sum = std::accumulate(shares.begin(), shares.end(), 0.0f);
    std::vector<size_t> order(shares.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return shares[a] > shares[b]; });
    std::string text;
    for (size_t place = 0; place < std::min<size_t>(3, order.size()); ++place) {
        char percent[32];
        std::snprintf(percent, sizeof percent, " %.1f %%", 100 * shares[order[place]] / sum);
        text += (place ? ", " : "") + pack.classes.at(order[place]) + percent;
    }
    return text;
}

// Answers the images that were named, or the packed ones, which are held to what is expected of them; returns the exit code.
// `ask` takes the prepared values of a batch and gives the first image's answer, a number a class.
template <typename Ask>
int answer_all(const Pack& pack, int argc, char** argv, Ask ask) {
    for (int place = 1; place < argc; ++place) std::cout << argv[place] << ": " << likeliest(pack, ask(prepared(pack, argv[place]))) << "\n";
    if (argc > 1) return 0;
    const float tolerance = std::stof(pack.expected.at("tolerance"));
    int checked = 0, right = 0;
    for (const auto& [name, text] : pack.expected) {
        if (name.rfind("images/", 0) != 0) continue;
        const std::vector<float> found = ask(prepared(pack, name + (pack.channels == 1 ? ".pgm" : ".ppm"))), wanted = numbers(text);
        float off = found.size() == wanted.size() ? 0.0f : INFINITY;
        for (size_t k = 0; k < std::min(found.size(), wanted.size()); ++k) {
            const float here = std::fabs(found[k] - wanted[k]);
            off = here <= off ? off : here;  // NaN is carried on
        }
        const bool same = off <= tolerance;
        std::cout << name << ": " << likeliest(pack, found) << "; " << (same ? "as expected" : "NOT as expected, off by " + std::to_string(off)) << "\n";
        ++checked;
        right += same;
    }
    return checked > 0 && right == checked ? 0 : 1;
}
