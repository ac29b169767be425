// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>

#include "service/context.h"
#include "service/fault.h"

namespace nsr::service {

/// Puts something new on a registration that lives: recorded first, then made, so that nothing is ever made that
/// nobody would remove; and until it is made, recorded as half done too, so that a call that is killed or fails leaves
/// nothing.
class Addition {
public:
    using Judge = std::function<OrFault<void>(const registry::Registration& current)>;

    /// `added` is the registration as it was found, with only what is new in its lists. `judge` looks at the current
    /// record, with the lock held. UserNamespaceNotRegistered if it is gone by now.
    static OrFault<Addition> record(Context& context, registry::Registration added, const Judge& judge);

    /// It has been made.
    OrFault<void> done();
    /// It could not be made.
    void undo();

private:
    Addition(Context& context, registry::Registration added) : context_(context), added_(std::move(added)) {}

    Context& context_;
    registry::Registration added_;
};

/// A registration with nothing in its lists.
registry::Registration without_resources(registry::Registration registration);

/// After a worker that was killed between record() and done(): takes what `added` lists out of the record, if it is
/// still there, but for cgroups that had begun to change hands. Who had those before is not known, so they are handed
/// over to the end, and stay recorded. Links have to be gone by then.
Status settle(Context& context, registry::Registration added);

}  // namespace nsr::service
