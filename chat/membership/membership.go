// Package membership says who is in a private room, with which role, as a pure
// function of signed operations: the same operations give the same members on
// every device, in whatever order they arrived. It checks no signature or
// certificate, encrypts nothing, and knows no network, no disk, no clock and no
// randomness.
//
// An operation names the operations that its author had seen, by hash, so nobody
// can claim to have acted before something that their operation builds on. They
// can always claim not to have seen something, though: whoever was removed may
// still write operations that stand beside their removal. The rules
// (PROTOCOL.md#membership) are made for that:
//
//   - A removal beats whatever its target does beside it, except removals. So a
//     removed admin can never add anyone afterwards, neither in person nor through
//     people they add; but they can still remove others.
//   - The creator's removals beat removals too, so the creator can always repair a
//     room: remove those who make trouble, then invite again who is missing.
//   - A removal stands until an invitation that was written in its knowledge.
package membership

import (
	"crypto/sha256"

	"earshot/chat"
	"earshot/chat/wire"
)

// Domains separate what is hashed here from everything else.
const (
	domainRoom = "earshot/v1 private-room\x00"
	domainView = "earshot/v1 membership-view\x00"
)

// Role is what a member may do. A higher role may do all that a lower one may.
type Role uint8

const (
	// RoleMember may leave.
	RoleMember Role = 1
	// RoleAdmin may also invite up to their own role, remove members and admins,
	// and change name, topic and how long messages are kept, and remove what others
	// say.
	RoleAdmin Role = 2
	// RoleOwner may also remove owners and set roles.
	RoleOwner Role = 3
)

// String returns "member", "admin" or "owner", and "nobody" for anything else.
func (r Role) String() string {
	switch r {
	case RoleMember:
		return "member"
	case RoleAdmin:
		return "admin"
	case RoleOwner:
		return "owner"
	}
	return "nobody"
}

// ParseRole reads what Role.String wrote for a member's role.
func ParseRole(s string) (Role, error) {
	for r := RoleMember; r <= RoleOwner; r++ {
		if s == r.String() {
			return r, nil
		}
	}
	return 0, chat.Errorf(chat.CodeUsage, "%.40q is not a role. Say owner, admin or member.", s)
}

// History is what newcomers may read of what was said before them. It is fixed
// when a room is created.
type History uint8

const (
	HistoryNone    History = 1 // nothing
	HistoryInvited History = 2 // what was said since they were invited
	HistoryAll     History = 3 // everything
)

// String returns "none", "since-invited" or "all", and "unknown" for anything
// else.
func (h History) String() string {
	switch h {
	case HistoryNone:
		return "none"
	case HistoryInvited:
		return "since-invited"
	case HistoryAll:
		return "all"
	}
	return "unknown"
}

// ParseHistory reads what History.String wrote for a history setting.
func ParseHistory(s string) (History, error) {
	for h := HistoryNone; h <= HistoryAll; h++ {
		if s == h.String() {
			return h, nil
		}
	}
	return 0, chat.Errorf(chat.CodeUsage, "%.40q is not a history setting. Say none, since-invited or all.", s)
}

// Op is one signed operation, as its entry says it: whoever makes an Op has
// verified the signature, that Device belongs to Author, and that ID is the hash
// of the entry.
type Op struct {
	ID     chat.EntryID
	Author chat.PersonID
	Device chat.DeviceID
	HLC    chat.HLC
	// Parents are the newest operations that the author had seen: none for a
	// Create, else 1 to chat.MaxMembershipParents, ascending.
	Parents []chat.EntryID
	Body    Body
	// Void says that the device was revoked, and no other of the author's vouches
	// for the operation: it takes from others what it says, and gives nothing. It
	// is the caller's to find out; Log.Weigh settles it anew.
	Void bool
}

// Body is what an operation does. A sealed union.
type Body interface{ isBody() }

// Create founds a room. Its author is the creator: an owner whom nobody can
// remove or demote, until they leave.
type Create struct {
	Nonce [16]byte // random; makes the room's id unguessable
	// With, if not zero, makes the room a direct chat: the author and this person
	// are in it from the start, and nobody else ever is.
	With    chat.PersonID
	History History
}

// Invite asks a person in. They are a member once they accept.
type Invite struct {
	Person chat.PersonID
	Role   Role // at most the author's own
}

// Accept follows an invitation of the author's, which is in its causal past.
type Accept struct {
	Invite chat.EntryID
}

// Leave ends the author's membership, or declines their invitations.
type Leave struct{}

// Remove ends a person's membership and takes back their invitations. It may name
// someone who is not in the room: that bars what they may still have to say.
type Remove struct {
	Person chat.PersonID
}

// SetRole gives a member another role.
type SetRole struct {
	Person chat.PersonID
	Role   Role
}

// Set changes the room's name, its topic, or both; nil leaves it as it is.
type Set struct {
	Name  *string // UTF-8, at most chat.MaxRoomName bytes, without #
	Topic *string // UTF-8, at most chat.MaxTopic bytes
}

// Retain changes for how long messages are kept in the room, in seconds up to
// chat.MaxKeep, 0 for ever; nil leaves it as it is.
type Retain struct {
	Disappear *uint64 // messages that are said from now on, after they were
	Keep      *uint64 // all messages, after they were said
}

// Attest changes nothing. A device of the author's vouches with it for what others of
// theirs did in its past, before one of them is revoked.
type Attest struct{}

// Unknown is an operation of a kind that this version does not know. It has no
// effect, but what was written in its knowledge comes after it.
type Unknown struct {
	Kind uint8
}

func (Create) isBody()  {}
func (Invite) isBody()  {}
func (Accept) isBody()  {}
func (Leave) isBody()   {}
func (Remove) isBody()  {}
func (SetRole) isBody() {}
func (Set) isBody()     {}
func (Retain) isBody()  {}
func (Attest) isBody()  {}
func (Unknown) isBody() {}

// RoomOf returns the id of the room that creator founds with c. An entry's header
// depends on the room, so the id is made of what is founded and not of its entry.
func RoomOf(creator chat.PersonID, c Create) chat.RoomID {
	h := sha256.New()
	h.Write([]byte(domainRoom))
	h.Write(creator[:])
	h.Write(wire.Marshal(encode(c)))
	return chat.RoomID(h.Sum(nil))
}
