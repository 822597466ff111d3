package chat

import "time"

// Message is one thing said, as a face is told it. Its text has passed the door
// (CleanText). Its JSON form is an interface that scripts rely on: fields are
// added, never renamed.
type Message struct {
	ID     EntryID `json:"id"`
	Room   string  `json:"room"` // as shown, with its #
	RoomID RoomID  `json:"room_id"`
	From   Author  `json:"from"`
	Text   string  `json:"text"`
	// SentAt is the author's clock, ReceivedAt this node's, both in UTC.
	SentAt     time.Time `json:"sent_at"`
	ReceivedAt time.Time `json:"received_at"`
	// Mine says that a device of this person wrote it.
	Mine bool `json:"mine,omitempty"`
	// ClockAhead says that the author's clock was more than MaxFuture ahead, so
	// that the message stands at the time it arrived.
	ClockAhead bool `json:"clock_ahead,omitempty"`
	// Late says that it stands before messages that had been read when it came.
	Late       bool       `json:"late,omitempty"`
	ReplyTo    *EntryID   `json:"reply_to,omitempty"` // perhaps not here
	Mentions   []PersonID `json:"mentions,omitempty"`
	MentionsMe bool       `json:"mentions_me,omitempty"`
	// EditedAt is when its author last changed Text, zero for never.
	EditedAt time.Time `json:"edited_at,omitzero"`
	// Removed says that the text was taken away: Text is empty then.
	Removed   *Removal   `json:"removed,omitempty"`
	Reactions []Reaction `json:"reactions,omitempty"`
	// ExpiresAt is when it disappears, on every device; zero for never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// State says where a message of one's own is; nil where that is not kept track
	// of, and in events.
	State *MessageState `json:"state,omitempty"`
}

// Author is who wrote a message and on which device.
type Author struct {
	Person PersonID `json:"person"`
	Name   string   `json:"name"` // as the person calls themselves now; cleaned
	Device DeviceID `json:"device"`
}

// Me is what `earshot me` tells about this node.
type Me struct {
	Person    PersonID  `json:"person"`
	Name      string    `json:"name"`
	Device    DeviceID  `json:"device"`
	Home      string    `json:"home"`
	Protected bool      `json:"protected"`          // keys and history are encrypted at rest
	Addresses []string  `json:"addresses"`          // multiaddrs that this node listens on
	Port      int       `json:"port"`               // TCP, 0 while not listening
	Version   string    `json:"version"`            //
	Networks  []string  `json:"networks"`           // names of the interfaces in use
	Warnings  []Error   `json:"warnings,omitempty"` // what is wrong now, in plain words
	Refused   uint64    `json:"refused,omitempty"`  // entries and frames that broke the protocol, since the start
	StartedAt time.Time `json:"started_at"`         //
}
