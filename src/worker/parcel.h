// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "base/fd.h"
#include "base/result.h"
#include "varlink/reader.h"

namespace nsr::worker {

/// What a worker has read of a message whose rest has not come. The worker does not wait for the rest: the manager
/// keeps the parcel with the connection, and gives both to a worker when there is more.
using Unfinished = varlink::Reader::Unfinished;

/// A socket in whose queue the text (as a memfd) and the descriptors lie, so that the manager needs to receive, and
/// to close, none of the client's descriptors.
Result<UniqueFd> make_parcel(Unfinished unfinished);
Result<Unfinished> open_parcel(BorrowedFd parcel);

}  // namespace nsr::worker
