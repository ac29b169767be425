/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel programs and the service tell each other through maps. Maps outlive both, so that any change here
 * needs another NSR_LAYOUT: it is part of the name under which they are pinned. */
#pragma once

#include <linux/types.h>

#define NSR_LAYOUT "2"

enum {
    NSR_SETGROUPS_DENIED = 1,  /* setgroups(2) is refused there and below, ... */
    NSR_SETGROUPS_ALLOWED = 2, /* ... until a namespace with this */
    /* Set by the kernel program: files of a cgroup that it was not given have ids of its ranges. */
    NSR_OWNS_CGROUP_FILES = 4
};

/* Map "namespaces": inode number of a registered user namespace -> what is known of it. */
struct nsr_namespace {
    __u64 id; /* the kernel's 64-bit id of the namespace; 0: it has none */
    __u32 flags;
    __u32 dead;   /* set by the kernel program: the namespace is gone, and its inode number about to be free */
    __u64 missed; /* what "missed" was when it was entered */
};

/* Map "owners": first id of a range -> inode number of the innermost namespace that it was given to. */

/* Map "cgroups": there is an entry for each cgroup that was given to a namespace. */
struct nsr_cgroup {
    __u64 cgroup;
    __u32 userns; /* inode number */
    __u32 zero;
};

/* Ring buffer "deaths": the inode numbers of namespaces that have just been marked as dead. A record that finds no room
 * is counted in "lost", and the mark in the map still tells. */
struct nsr_death {
    __u32 userns;
    __u32 zero;
};

/* Array "missed": what may have got past the policy so far.
 *
 * How many calls of programs the kernel had left out when the service last counted. It never counts too many. See
 * missed_calls.h.
 *
 * How often a gap has begun or ended, in which the kernel ran no program at all: odd while a gap lasts. See
 * pulse.h. */
enum { NSR_MISSED_CALLS = 0, NSR_MISSED_GAPS = 1, NSR_MISSED = 2 };

/* An entry has both in one number, which is another one when either has changed: the gaps from this bit on. */
#define NSR_GAPS_SHIFT 40

/* Array "beats": how often a program of the policy was run for a call of the manager or of a worker, and how often a
 * namespace has died, registered or not. See pulse.h. */
enum { NSR_BEATS_OF_MANAGER = 0, NSR_BEATS_OF_WORKERS = 1, NSR_BEATS_OF_DEATHS = 2, NSR_BEATS = 3 };
/* How the names of the service's processes begin: "nsresourced", "nsresourcework". */
#define NSR_SERVICE_NAME "nsresour"

enum {
    NSR_MAX_NAMESPACES = 65536,
    NSR_MAX_OWNERS = 65536, /* more than both pools have ranges */
    NSR_MAX_CGROUPS = 65536,
    NSR_DEATHS_BYTES = 16384
};
