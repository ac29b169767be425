// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "stage.h"

namespace nsr::channels {

/// Directories of an overlay: where the lower one, the upper one with its work directory, and the result are.
struct Layers {
    std::string lower, upper, work, merged;

    std::string options() const { return "lowerdir=" + lower + ",upperdir=" + upper + ",workdir=" + work; }
};

/// Makes the four of them below `base`, for everybody to write.
Layers make_layers(const std::string& base);
/// The four of them on the stage's file system, prepared by root of the host, owned by these ids.
Layers host_layers(Stage& stage, uint32_t owner);
/// mount(2); 0 or an errno value.
int mount_overlay(const Layers& layers, const std::string& options, unsigned long flags = 0);

}  // namespace nsr::channels
