// SPDX-License-Identifier: Apache-2.0
#include "test/support/fake_messages.h"

#include <sstream>
#include <vector>

namespace stentor::test {
namespace {

using nlohmann::json;

std::string Decode(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out.push_back(static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16)));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

}  // namespace

Target ParseTarget(const std::string& text) {
  Target target;
  const std::size_t mark = text.find('?');
  std::istringstream path(text.substr(0, mark));
  std::vector<std::string> segments;
  for (std::string segment; std::getline(path, segment, '/');) {
    if (!segment.empty()) {
      segments.push_back(segment);
    }
  }
  std::size_t i = !segments.empty() && segments[0] == "api" ? 2 : 3;  // /api/v1, /apis/group/v1
  if (i + 2 < segments.size() && segments[i] == "namespaces") {
    target.name_space = segments[i + 1];
    i += 2;
  }
  const auto next = [&] { return i < segments.size() ? segments[i++] : std::string(); };
  target.resource = next();
  target.name = next();
  target.subresource = next();
  if (mark != std::string::npos) {
    std::istringstream query(text.substr(mark + 1));
    for (std::string pair; std::getline(query, pair, '&');) {
      const std::size_t equals = pair.find('=');
      target.query[pair.substr(0, equals)] =
          equals == std::string::npos ? "" : Decode(pair.substr(equals + 1));
    }
  }
  return target;
}

json Failure(int code, const std::string& reason, const std::string& message) {
  return {{"kind", "Status"},   {"apiVersion", "v1"}, {"status", "Failure"},
          {"message", message}, {"reason", reason},   {"code", code}};
}

std::string Answer(int code, const json& body, int retry_after) {
  const std::string text = body.dump();
  std::ostringstream out;
  out << "HTTP/1.1 " << code
      << " X\r\nContent-Type: application/json\r\nContent-Length: " << text.size() << "\r\n";
  if (retry_after > 0) {
    out << "Retry-After: " << retry_after << "\r\n";
  }
  out << "\r\n" << text;
  return out.str();
}

std::string Chunk(std::string_view bytes) {
  std::ostringstream out;
  out << std::hex << bytes.size() << "\r\n" << bytes << "\r\n";
  return out.str();
}

}  // namespace stentor::test
