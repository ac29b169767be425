/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys live as long as a keyring has them. A session keyring that a process brought along is one of somebody outside;
 * user and persistent keyrings belong to the user namespace, and session keyrings that were made inside to processes
 * that have its ids. So a keyring that is owned by an id which dies with the namespace, dies with it. */
#pragma once

#include "id_mapping.h"

static const char kKeyringType[] = "keyring";

static __always_inline bool is_keyring(const struct key* key) {
    char type[sizeof kKeyringType] = {};
    const char* name = BPF_CORE_READ(key, type, name);
    bpf_probe_read_kernel_str(type, sizeof type, name);
    return !bpf_strncmp(type, sizeof kKeyringType, kKeyringType);
}

/* Whether a keyring whose ids have these owners is gone before an id of `owner` is free: its uid's owner has to be on
 * the way from the task's namespace up to that owner. */
__noinline int dies_before(__u64 userns, __u32 keyring_owner, __u32 owner) {
    for (int i = 0; i < MAX_NESTED && userns; i++) {
        __u32 inode = inode_of(userns);
        if (inode == keyring_owner) return 1;
        if (inode == owner) return 0;
        userns = (__u64)BPF_CORE_READ(USERNS(userns), parent);
    }
    return 0;
}

/* Adding to a keyring. What is added has the task's ids, or is linked, for which judge_key_link() has been asked. */
static __always_inline int judge_keyring_write(__u64 userns, const struct key* keyring, __u32 nearest) {
    const struct cred* cred = current_cred();
    __u32 uid_owner = owner_of(cred->fsuid.val, nearest), gid_owner = owner_of(cred->fsgid.val, nearest);
    if ((!uid_owner && !gid_owner) || !is_keyring(keyring)) return 0;
    __u32 keyring_owner = owner_of(BPF_CORE_READ(keyring, uid.val), nearest);
    if (!keyring_owner) return -EPERM;
    if (uid_owner && !dies_before(userns, keyring_owner, uid_owner)) return -EPERM;
    if (gid_owner && !dies_before(userns, keyring_owner, gid_owner)) return -EPERM;
    return 0;
}

/* Only a task with ids of the same owner may link a key with transient ids: then judge_keyring_write() has been asked
 * for that owner, too. */
static __always_inline int judge_key_link(const struct key* key, __u32 nearest) {
    __u32 uid_owner = owner_of(BPF_CORE_READ(key, uid.val), nearest);
    __u32 gid_owner = owner_of(BPF_CORE_READ(key, gid.val), nearest);
    __u32 own = owner_of(current_cred()->fsuid.val, nearest);
    if (uid_owner && uid_owner != own) return -EPERM;
    return gid_owner && gid_owner != own ? -EPERM : 0;
}

/* What a key is about to be asked for: the judge is told only that it is to be changed. */
static __always_inline int note_key_change(__u32 permissions, __u32 gid) {
    if (!is_in_user_namespace(current_cred())) return 0;
    struct notes* notes = own_notes();
    if (!notes) return 0;
    notes->key_permissions = permissions;
    notes->key_gid = gid;
    notes->has_key_change = 1;
    return 0;
}

SEC("fentry/keyctl_setperm_key")
int note_setperm(__u64* ctx) { return note_key_change((__u32)ctx[1], INVALID_ID); }

/* The user cannot change: that takes CAP_SYS_ADMIN outside. */
SEC("fentry/keyctl_chown_key")
int note_key_chown(__u64* ctx) {
    return note_key_change(0, map_id(map_of(number_of(current_cred()->user_ns), GID), (__u32)ctx[2], 0));
}

SEC("fentry/keyctl_set_timeout")
int note_key_timeout(__u64* ctx) { return note_key_change(0, INVALID_ID); }

SEC("fentry/keyctl_restrict_keyring")
int note_key_restriction(__u64* ctx) { return note_key_change(0, INVALID_ID); }

/* A key goes with its user, at the latest: so that one's id has to be free no later than that of the group. */
static __noinline int judge_key_ids(__u32 uid, __u32 gid) {
    __u64 userns = number_of(current_cred()->user_ns);
    __u32 nearest = nearest_registered(userns);
    __u32 uid_owner = owner_of(uid, nearest), gid_owner = owner_of(gid, nearest);
    if (!nearest || !gid_owner) return 0;
    return uid_owner && dies_before(userns, uid_owner, gid_owner) ? 0 : -EPERM;
}

/* Keyrings of a session, a process and a thread have the real ids of the task, and not those for files. */
SEC("fmod_ret/security_key_alloc")
int BPF_PROG(judge_new_key, struct key* key) {
    return verdict(is_in_user_namespace(current_cred()) && judge_key_ids(key->uid.val, key->gid.val));
}

/* A task outside that may link a key puts it into a keyring of its own, and is not judged. So a key with transient ids
 * stays closed to all but its possessor and its owner. KEYCTL_CHOWN of keyctl(2) gives a key of another user to any
 * group of the task. Where nothing was noted, either could be meant. */
#define KEY_GRP_LINK 0x00001000
#define KEY_OTH_LINK 0x00000010
static __always_inline int judge_key_change(const struct key* key) {
    struct notes* notes = own_notes();
    if (!notes || !notes->has_key_change) return -EPERM;
    notes->has_key_change = 0;
    __u32 uid = BPF_CORE_READ(key, uid.val), gid = notes->key_gid;
    if (gid == INVALID_ID) gid = BPF_CORE_READ(key, gid.val);
    if (!is_transient(uid) && !is_transient(gid)) return 0;
    return notes->key_permissions & (KEY_GRP_LINK | KEY_OTH_LINK) ? -EPERM : judge_key_ids(uid, gid);
}

/* The verifier does not let a key reference be loaded as a pointer: its lowest bit says whether it is possessed. */
SEC("fmod_ret/security_key_permission")
int judge_key(__u64* ctx) {
    if (!is_in_user_namespace(current_cred())) return 0;
    __u32 wanted = (__u32)ctx[2];
    bool writes = wanted == bpf_core_enum_value(enum key_need_perm, KEY_NEED_WRITE);
    bool links = wanted == bpf_core_enum_value(enum key_need_perm, KEY_NEED_LINK);
    bool changes = wanted == bpf_core_enum_value(enum key_need_perm, KEY_NEED_SETATTR);
    if (!writes && !links && !changes) return 0;
    __u64 userns = number_of(current_cred()->user_ns), reference = 0;
    __u32 nearest = nearest_registered(userns);
    if (!nearest) return 0;
    if (bpf_probe_read_kernel(&reference, sizeof reference, ctx)) return verdict(1);
    const struct key* key = (void*)(reference & ~1UL);
    if (writes) return verdict(judge_keyring_write(userns, key, nearest));
    return verdict(links ? judge_key_link(key, nearest) : judge_key_change(key));
}
