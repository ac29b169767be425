// SPDX-License-Identifier: LGPL-2.1-or-later
#include "varlink/message.h"

#include <gtest/gtest.h>

namespace nsr::varlink {
namespace {

std::string refusal(std::string_view text) {
    Result<Request> request = parse_request(text);
    if (request) return "accepted";
    EXPECT_EQ(request.error().code(), EBADMSG) << text;
    EXPECT_FALSE(request.error().what().empty());
    return request.error().what();
}

#define EXPECT_REFUSED(text) EXPECT_NE(refusal(text), "accepted") << (text)

std::string nested(size_t levels) {
    return R"({"method":"a.B","parameters":{"deep":)" + std::string(levels, '[') + "1" + std::string(levels, ']') +
           "}}";
}

TEST(Request, has_a_method_and_parameters) {
    auto request = parse_request(R"({"method":"a.B","parameters":{"x":[1,{"y":null}],"z":"ü"}})");
    ASSERT_TRUE(request) << request.error().what();
    EXPECT_EQ(request->method, "a.B");
    EXPECT_EQ(request->mode, Request::Mode::kPlain);
    EXPECT_EQ(json::serialize(request->parameters), R"({"x":[1,{"y":null}],"z":"ü"})");
    EXPECT_FALSE(request->duplicate_parameter);
}

TEST(Request, may_lack_parameters) {
    for (std::string_view text : {R"({"method":"a.B"})", R"({"parameters":null,"method":"a.B"})",
                                  R"({"method":"a.B","parameters":{}})", " \t\r\n{ \"method\" : \"a.B\" }\n "}) {
        auto request = parse_request(text);
        ASSERT_TRUE(request) << text;
        EXPECT_EQ(request->method, "a.B");
        EXPECT_TRUE(request->parameters.empty());
    }
}

TEST(Request, knows_its_mode) {
    EXPECT_EQ(parse_request(R"({"method":"a.B","oneway":true})")->mode, Request::Mode::kOneway);
    EXPECT_EQ(parse_request(R"({"method":"a.B","more":true})")->mode, Request::Mode::kMore);
    EXPECT_EQ(parse_request(R"({"method":"a.B","upgrade":true})")->mode, Request::Mode::kUpgrade);
    EXPECT_EQ(parse_request(R"({"more":false,"method":"a.B","upgrade":true,"oneway":false})")->mode,
              Request::Mode::kUpgrade);
    EXPECT_EQ(parse_request(R"({"method":"a.B","oneway":false,"more":false,"upgrade":false})")->mode,
              Request::Mode::kPlain);
}

TEST(Request, decodes_escapes_in_names_and_strings) {
    auto request = parse_request(
        R"({"m\u0065thod":"a.\u0042","p\u0061rameters":{"\u0069nterface":"a\n\"\\\/\u00fc\ud83d\ude00\b\f\r\t"}})");
    ASSERT_TRUE(request) << request.error().what();
    EXPECT_EQ(request->method, "a.B");
    EXPECT_EQ(request->parameters["interface"].as_string(), "a\n\"\\/ü\U0001f600\b\f\r\t");
}

TEST(Request, is_no_garbage) {
    for (std::string_view text : {"",
                                  " ",
                                  "garbage",
                                  "{",
                                  "}",
                                  "{}",
                                  "[]",
                                  "null",
                                  "1",
                                  "\"a\"",
                                  "true",
                                  R"({"method")",
                                  R"({"method":})",
                                  "\xff\xfe",
                                  "GET / HTTP/1.1\r\n\r\n",
                                  R"({"method":"a.B")",
                                  R"({"method":"a.B"}x)",
                                  R"({"method":"a.B"}{})",
                                  R"(x{"method":"a.B"})",
                                  "\xef\xbb\xbf{\"method\":\"a.B\"}",
                                  R"([{"method":"a.B"}])"})
        EXPECT_REFUSED(text);
}

TEST(Request, is_json_by_the_letter) {
    for (std::string_view value : {"[1,]",
                                   "[,1]",
                                   "{\"a\":1,}",
                                   "{a:1}",
                                   "{'a':1}",
                                   "'a'",
                                   "01",
                                   "-01",
                                   "+1",
                                   "1.",
                                   ".5",
                                   "1e",
                                   "1e+",
                                   "-",
                                   "0x1",
                                   "NaN",
                                   "Infinity",
                                   "-Infinity",
                                   "nan",
                                   "True",
                                   "TRUE",
                                   "nul",
                                   "undefined",
                                   "1 2",
                                   "/* c */1",
                                   "1//c\n",
                                   "#c\n1",
                                   "\"\n\"",
                                   "\"\t\"",
                                   "\"\x01\"",
                                   "\"\\x41\"",
                                   "\"\\'\"",
                                   "\"\\u12\"",
                                   "\"\\U00000041\"",
                                   "\"a",
                                   "[1}",
                                   "[1 2]",
                                   "{\"a\" 1}",
                                   "{\"a\":1 \"b\":2}",
                                   "{1:2}",
                                   "{\"a\"}",
                                   "\v1",
                                   "\f1",
                                   "\u00a0"})
        EXPECT_REFUSED(fmt::format(R"({{"method":"a.B","parameters":{{"x":{}}}}})", value));
    for (std::string_view value :
         {"-0", "0.0", "1e5", "1E+5", "1e-5", "\"\x7f\"", "[ ]", "{ }", "\"\"", "\"/\"", "1e400"})
        EXPECT_EQ(refusal(fmt::format(R"({{"method":"a.B","parameters":{{"x":{}}}}})", value)), "accepted") << value;
}

TEST(Request, has_no_invalid_text) {
    for (std::string_view text :
         {"\\u0000", "a\\u0000b", "\\ud800", "\\udc00", "\\ud800\\ud800", "\\ud83dx", "\\ude00\\ud83d", "\xff",
          "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3", "\xe2\x82", "\x80", "\xf8\x88\x80\x80\x80"}) {
        EXPECT_REFUSED(fmt::format(R"({{"method":"a.{}"}})", text));
        EXPECT_REFUSED(fmt::format(R"({{"method":"a.B","parameters":{{"x":"{}"}}}})", text));
        EXPECT_REFUSED(fmt::format(R"({{"method":"a.B","parameters":{{"{}":1}}}})", text));
        EXPECT_REFUSED(fmt::format(R"({{"method":"a.B","parameters":{{"x":[{{"{}":"y"}}]}}}})", text));
        EXPECT_REFUSED(fmt::format(R"({{"method":"a.B","{}":true}})", text));
    }
    EXPECT_REFUSED(std::string_view("{\"method\":\"a\0b\"}", 16));
    EXPECT_REFUSED(std::string_view("{\"method\":\"a\"}\0", 15));
}

TEST(Request, has_well_typed_fields) {
    for (std::string_view value : {"null", "1", "true", "[]", "{}"})
        EXPECT_REFUSED(fmt::format(R"({{"method":{}}})", value));
    for (std::string_view value : {"1", "1.5", "18446744073709551615", "true", "[]", "\"x\"", "[[]]"})
        EXPECT_REFUSED(fmt::format(R"({{"method":"a.B","parameters":{}}})", value));
    for (std::string_view flag : {"oneway", "more", "upgrade"})
        for (std::string_view value : {"null", "1", "0", "1.5", "\"true\"", "[]", "{}"})
            EXPECT_REFUSED(fmt::format(R"({{"method":"a.B","{}":{}}})", flag, value));
}

TEST(Request, has_one_mode_at_most) {
    EXPECT_REFUSED(R"({"method":"a.B","oneway":true,"more":true})");
    EXPECT_REFUSED(R"({"method":"a.B","oneway":true,"upgrade":true})");
    EXPECT_REFUSED(R"({"method":"a.B","more":true,"upgrade":true})");
    EXPECT_REFUSED(R"({"method":"a.B","oneway":true,"more":true,"upgrade":true})");
}

TEST(Request, has_no_other_fields_and_none_twice) {
    for (std::string_view more :
         {"\"x\":1", "\"Method\":\"a\"", "\"\":null", "\"continues\":false", "\"error\":\"x.Y\"", "\"method\":\"a.B\"",
          "\"parameters\":{},\"parameters\":{}", "\"parameters\":null,\"parameters\":{}", "\"more\":true,\"more\":true",
          "\"m\\u0065thod\":\"a.B\"", "\"more\":false,\"mor\\u0065\":false"})
        EXPECT_REFUSED(fmt::format(R"({{"method":"a.B",{}}})", more));
    EXPECT_REFUSED(R"({"parameters":{}})");
}

TEST(Request, tells_which_parameter_came_twice) {
    EXPECT_EQ(parse_request(R"({"method":"a.B","parameters":{"uid":1,"uid":1}})")->duplicate_parameter, "uid");
    EXPECT_EQ(parse_request(R"({"method":"a.B","parameters":{"a":1,"b":[],"uid":1,"\u0075id":null,"a":2}})")
                  ->duplicate_parameter,
              "uid");
    EXPECT_EQ(parse_request(R"({"method":"a.B","parameters":{"":1,"":1}})")->duplicate_parameter, "");
    // Below the parameters themselves it is only a value that no method takes.
    EXPECT_FALSE(parse_request(R"({"method":"a.B","parameters":{"a":{"x":1,"x":1},"x":2}})")->duplicate_parameter);
    std::string many = R"({"method":"a.B","parameters":{)";
    for (int i = 0; i < 1000; i++) many += fmt::format("\"k{}\":1,", i);
    EXPECT_EQ(parse_request(many + "\"k7\":1}}")->duplicate_parameter, "k7");
    EXPECT_FALSE(parse_request(many + "\"k\":1}}")->duplicate_parameter);
}

TEST(Request, is_not_too_deep) {
    EXPECT_EQ(refusal(nested(200)), "accepted");
    EXPECT_EQ(refusal(nested(1000)), "accepted");
    EXPECT_REFUSED(nested(2049));
    EXPECT_REFUSED(nested(100000));
}

TEST(Request, may_be_large) {
    std::string text = R"({"method":"a.B","parameters":{"name":")" + std::string(1 << 20, 'x') + "\"}}";
    EXPECT_EQ(parse_request(text)->parameters["name"].as_string().size(), size_t{1} << 20);
    // Escapes make the parser hand over strings in pieces.
    std::string escaped = R"({"method":"a.)";
    for (int i = 0; i < 5000; i++) escaped += "\\u0041bc";
    EXPECT_EQ(parse_request(escaped + R"(","parameters":{"a":1}})")->method.size(), 15002u);
}

TEST(Request, keeps_numbers_exact) {
    auto number = [](std::string_view text) {
        return parse_request(fmt::format(R"({{"method":"a.B","parameters":{{"x":{}}}}})", text))->parameters["x"];
    };
    EXPECT_EQ(number("9223372036854775807").as_int64(), INT64_MAX);
    EXPECT_EQ(number("-9223372036854775808").as_int64(), INT64_MIN);
    EXPECT_EQ(number("9223372036854775808").as_uint64(), uint64_t{1} << 63);
    EXPECT_EQ(number("70000.0").as_double(), 70000.0);
    EXPECT_EQ(number("7e4").as_double(), 70000.0);
    EXPECT_EQ(number("7.0000000000000000000000000000000").as_double(), 7.0);
    EXPECT_EQ(number("700000000000000000000000000e-26").as_double(), 7.0);
    EXPECT_EQ(number("1e400").as_double(), std::numeric_limits<double>::infinity());
    EXPECT_EQ(number("-1e400").as_double(), -std::numeric_limits<double>::infinity());
    EXPECT_GT(number("1e-400").as_double(), 0);
    EXPECT_EQ(number(std::string(400, '1')).as_double(), std::numeric_limits<double>::infinity());
}

TEST(CallResult, is_a_reply_or_an_error) {
    auto reply = parse_reply(R"({"parameters":{"name":"x"},"continues":false})");
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->error, "");
    EXPECT_EQ(reply->parameters["name"].as_string(), "x");
    EXPECT_TRUE(parse_reply("{}")->parameters.empty());
    auto error = parse_reply(R"({"error":"a.B","parameters":{"parameter":"x"}})");
    ASSERT_TRUE(error);
    EXPECT_EQ(error->error, "a.B");
    EXPECT_EQ(error->parameters["parameter"].as_string(), "x");
}

TEST(CallResult, is_refused_where_it_is_no_valid_reply) {
    for (std::string_view text :
         {"", "[]", R"({"error":null})", R"({"error":""})", R"({"error":1})", R"({"continues":true})",
          R"({"continues":null})", R"({"parameters":[]})", R"({"parameters":{"a":1,"a":2}})", R"({"x":1})",
          R"({"method":"a.B"})", R"({"error":"a.B","error":"a.B"})"})
        EXPECT_FALSE(parse_reply(text)) << text;
}

TEST(Serialize, ends_with_one_nul) {
    EXPECT_EQ(serialize_reply({{{"name", "x"}}, {}}), std::string("{\"parameters\":{\"name\":\"x\"}}\0", 28));
    EXPECT_EQ(serialize_reply({}), std::string("{\"parameters\":{}}\0", 18));
    EXPECT_EQ(serialize_fault({"a.B", {{"parameter", "x"}}}),
              std::string("{\"error\":\"a.B\",\"parameters\":{\"parameter\":\"x\"}}\0", 47));
    EXPECT_EQ(serialize_outcome(Fault{"a.B", {}}), serialize_fault({"a.B", {}}));
    EXPECT_EQ(serialize_outcome(Reply{}), serialize_reply({}));
}

TEST(Serialize, makes_requests_that_are_read_back) {
    for (auto mode : {Request::Mode::kPlain, Request::Mode::kOneway, Request::Mode::kMore, Request::Mode::kUpgrade}) {
        Request request;
        request.method = "a.B\"\\ü";
        request.parameters = {{"x", "\n\x01\x7f"}, {"y", UINT64_MAX}};
        request.mode = mode;
        std::string text = serialize_request(request);
        ASSERT_EQ(text.find('\0'), text.size() - 1);
        text.pop_back();
        auto back = parse_request(text);
        ASSERT_TRUE(back) << back.error().what();
        EXPECT_EQ(back->method, request.method);
        EXPECT_EQ(back->mode, mode);
        EXPECT_EQ(back->parameters, request.parameters);
    }
}

}  // namespace
}  // namespace nsr::varlink
