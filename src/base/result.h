// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace nsr {

/// What went wrong: an errno value (positive; see errno(3)) and a sentence for people.
class Error {
public:
    Error(int code, std::string what) : code_(code), what_(std::move(what)) {}

    int code() const { return code_; }
    const std::string& what() const { return what_; }

    /// The same error, with what was being done in front: "what: earlier sentence".
    Error within(std::string_view context) && {
        what_ = fmt::format("{}: {}", context, what_);
        return std::move(*this);
    }

private:
    int code_;
    std::string what_;
};

/// A value or an Error; must be looked at. Do not use with bool: give the two outcomes names in an enum.
template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
public:
    using std::expected<T, Error>::expected;
};

using Status = Result<void>;
using Failure = std::unexpected<Error>;

/// "<context>: <text of the code>", for an errno value that was saved before any other call could change it.
Failure fail_errno(int code, std::string_view context);

/// An error of our own making, with the errno value that says it best.
template <class... Args>
Failure fail(int code, fmt::format_string<Args...> format, Args&&... args) {
    return Failure(Error(code, fmt::format(format, std::forward<Args>(args)...)));
}

/// The name of an errno value ("ENOENT"), or its number where it has none.
std::string errno_name(int code);

}  // namespace nsr

/// The value of a Result, or leave the function with its error. Not to be nested in one expression.
#define TRY(expression)                                                           \
    __extension__({                                                               \
        auto try_result_ = (expression);                                          \
        if (!try_result_) return std::unexpected(std::move(try_result_).error()); \
        *std::move(try_result_);                                                  \
    })

/// As TRY, with the context put in front of the sentence.
#define TRY_WITHIN(context, expression)                                                           \
    __extension__({                                                                               \
        auto try_result_ = (expression);                                                          \
        if (!try_result_) return std::unexpected(std::move(try_result_).error().within(context)); \
        *std::move(try_result_);                                                                  \
    })
