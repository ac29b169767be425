// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "varlink/parameters.h"

/// The varlink interface language (https://varlink.org/Interface-Definition), as far as our interfaces use it: no
/// structures within structures.
namespace nsr::varlink {

struct DefinedField {
    std::string name;
    /// Without the question mark: "int", "[]string", "AllocateUserRangeType".
    std::string type;
    Presence presence = Presence::kMandatory;
    bool operator==(const DefinedField&) const = default;
};

struct DefinedMethod {
    std::string name;
    std::vector<DefinedField> inputs, outputs;
};

struct DefinedError {
    std::string name;
    std::vector<DefinedField> fields;
};

/// A list of names, one of which is the value.
struct DefinedEnum {
    std::string name;
    std::vector<std::string> values;
};

struct InterfaceDefinition {
    std::string name;
    std::vector<DefinedMethod> methods;
    std::vector<DefinedError> errors;
    std::vector<DefinedEnum> enums;
};

/// Reads the text of an interface; EBADMSG with the line where it breaks the grammar, uses a type that is not defined,
/// or defines a name twice.
Result<InterfaceDefinition> parse_interface(std::string_view text);

/// Checks that `fields`, by which a server judges calls of `method` (without the interface's name), are those of the
/// description: names, order, types, which are optional, values of enumerated types. EINVAL names the first difference.
Status fields_match(std::string_view description, std::string_view method, std::span<const Field> fields);

}  // namespace nsr::varlink
