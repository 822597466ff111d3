package chat

import "time"

// RoomKind says who can read a conversation.
type RoomKind string

const (
	RoomOpen    RoomKind = "open"    // anyone on this network
	RoomPrivate RoomKind = "private" // its members
	RoomDirect  RoomKind = "direct"  // two people
)

// Sealed reports whether what is said in such a room is encrypted for its members.
func (k RoomKind) Sealed() bool { return k == RoomPrivate || k == RoomDirect }

// What a newcomer to a private room can read of what was said before. It is fixed
// when the room is made.
const (
	HistoryNone         = "none"
	HistorySinceInvited = "since-invited"
	HistoryAll          = "all"
)

// What a member of a private room may do.
const (
	RoleMember = "member"
	RoleAdmin  = "admin"
	RoleOwner  = "owner"
)

// Room is a conversation this node is or was in.
type Room struct {
	// Room is as shown: "#name", or "@" and the contact's name for a direct chat.
	// Two private rooms may bear one name; the id tells them apart.
	Room   string   `json:"room"`
	RoomID RoomID   `json:"room_id"`
	Kind   RoomKind `json:"kind"`
	// Open says that anyone on this network can read it: Kind is RoomOpen.
	Open   bool      `json:"open"`
	Person *PersonID `json:"person,omitempty"` // whom a direct chat is with
	Topic  string    `json:"topic,omitempty"`
	// History and Role are set for private rooms: what newcomers can read, and
	// what this person is there ("" for one who is out).
	History string `json:"history,omitempty"`
	Role    string `json:"role,omitempty"`
	Members int    `json:"members,omitempty"` // of a sealed room, this person included
	Unread  int    `json:"unread"`
	// Unreadable counts messages whose keys this device does not have, or not yet.
	Unreadable int `json:"unreadable,omitempty"`
	// DisappearAfter is after how many seconds new messages disappear, KeepFor how
	// many seconds any message is kept; 0 for ever.
	DisappearAfter int64 `json:"disappear_after,omitempty"`
	KeepFor        int64 `json:"keep_for,omitempty"`
	// Mentions counts the unread messages that call this person.
	Mentions int `json:"mentions,omitempty"`
	// Alerts is what of it may alert this person: AlertAll, AlertMentions, AlertNone.
	Alerts string `json:"alerts,omitempty"`
	// LastAt is when the newest message was sent, zero if there is none.
	LastAt time.Time `json:"last_at,omitzero"`
	// ReadUpTo is the newest message the person has read on this device.
	ReadUpTo *EntryID `json:"read_up_to,omitempty"`
	// Left says that this person takes part no more: what was said can still be
	// read. Ended says why, as a sentence.
	Left  bool   `json:"left,omitempty"`
	Ended string `json:"ended,omitempty"`
}

// Member is somebody in a sealed room, or invited to it.
type Member struct {
	Person  PersonID  `json:"person"`
	Name    string    `json:"name"`
	Role    string    `json:"role"`
	Me      bool      `json:"me,omitempty"`
	Invited bool      `json:"invited,omitempty"` // and has not accepted yet
	By      *PersonID `json:"by,omitempty"`      // who invited them
}

// Invitation is a private room that waits for this person's answer.
type Invitation struct {
	RoomID  RoomID    `json:"room_id"`
	Room    string    `json:"room"` // as shown, with its #
	By      Author    `json:"by"`
	Role    string    `json:"role"`
	Members int       `json:"members"`
	History string    `json:"history"`
	At      time.Time `json:"at"`
}
