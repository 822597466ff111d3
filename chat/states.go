package chat

import "time"

// Draft is what a person wants said. Its JSON form is the body of a request.
type Draft struct {
	Text string `json:"text"`
	// ClientID names this act of sending: with the same one, unless it is empty,
	// the message is sent once, however often it is tried.
	ClientID string `json:"client_id,omitempty"`
	// ReplyTo is the message of the same room that this one answers.
	ReplyTo *EntryID `json:"reply_to,omitempty"`
	// Mentions are people whom the text calls. Whoever is called by "@" and the
	// whole of a name that only one member of the room bears is added.
	Mentions []PersonID `json:"mentions,omitempty"`
}

// Where a message is: as far as this node can tell, and never further than it has
// been told by the device in question.
const (
	// StateHere: on this device, and nowhere else as far as is known.
	StateHere = "here"
	// StateHeld: on devices that are not a recipient's (this person's own, or
	// couriers'), which will hand it on.
	StateHeld = "held"
	// StateDelivered: stored on a device of a recipient.
	StateDelivered = "delivered"
	// StateRead: a recipient has read it, and lets this person know.
	StateRead = "read"
)

// MessageState sums up where a message of one's own is.
type MessageState struct {
	// State is how far it has come with every recipient: StateRead is said when all
	// have read it.
	State string `json:"state"`
	// Of counts the recipients (people); Delivered those with a device that has it,
	// Read those who have read it, Held the devices beside this one that hold it and
	// are not a recipient's.
	Of        int `json:"of,omitempty"`
	Held      int `json:"held,omitempty"`
	Delivered int `json:"delivered,omitempty"`
	Read      int `json:"read,omitempty"`
}

// MessageDetail is the whole story of one message.
type MessageDetail struct {
	Message
	Recipients []Recipient `json:"recipients,omitempty"` // in the order of their names
	Holders    []Holder    `json:"holders,omitempty"`    // other than recipients' devices
	Revisions  []Revision  `json:"revisions,omitempty"`  // what it said before, oldest first
	// RemovedOn counts the devices that are known to have removed it, of those of
	// RemovedOf that are known to take part in the room; both 0 unless it was removed.
	RemovedOn int `json:"removed_on,omitempty"`
	RemovedOf int `json:"removed_of,omitempty"`
}

// Recipient is one person whom a message is for.
type Recipient struct {
	Person PersonID `json:"person"`
	Name   string   `json:"name"`
	State  string   `json:"state"` // StateHere (nothing is known) to StateRead
	// At is when this node learnt of State, zero for StateHere.
	At      time.Time     `json:"at,omitzero"`
	Devices []DeviceState `json:"devices,omitempty"`
	// Why says in a sentence what stands in the way, if anything is known to.
	Why string `json:"why,omitempty"`
}

// DeviceState is where a message is with one device.
type DeviceState struct {
	Device DeviceID  `json:"device"`
	Holds  bool      `json:"holds"`
	At     time.Time `json:"at,omitzero"` // when this node learnt that it holds it
	// Full says that the device cannot store anything now.
	Full bool `json:"full,omitempty"`
}

// Holder is a device that holds a message for others.
type Holder struct {
	Person PersonID  `json:"person"`
	Name   string    `json:"name"`
	Device DeviceID  `json:"device"`
	Kind   string    `json:"kind"`           // "own", "member", "contact", "keeper", "carried"
	Since  time.Time `json:"since,omitzero"` //
	Until  time.Time `json:"until,omitzero"` // when it may let go of it
}

// Revision is what a message said before it was edited.
type Revision struct {
	Text string    `json:"text"`
	At   time.Time `json:"at"` // when it was written
}

// Removal says who took a message away, and when.
type Removal struct {
	By Author    `json:"by"`
	At time.Time `json:"at"`
}

// Reaction is one sign that people have put under a message.
type Reaction struct {
	Sign   string     `json:"sign"`   // one emoji
	People []PersonID `json:"people"` // in the order in which they did
	Mine   bool       `json:"mine,omitempty"`
}

// Missing says that entries of one log are known to exist and are not here.
type Missing struct {
	Room   string `json:"room"`
	RoomID RoomID `json:"room_id"`
	// From is who writes them; its Person is zero where that is not known yet.
	From  Author `json:"from"`
	Count int    `json:"count"` // exact: numbers that were used, at the least
	// Before is the first message here that stands after them, nil if they are the
	// newest.
	Before *EntryID `json:"before,omitempty"`
}

// Keeper says what this node holds for others.
type Keeper struct {
	On    bool  `json:"on"`    // it has agreed to hold whatever its contacts bring
	Space int64 `json:"space"` // bytes it gives to that
	Used  int64 `json:"used"`
	Held  int   `json:"held"` // envelopes
}

// Carried is what carrying out or in has come to.
type Carried struct {
	Entries  int `json:"entries"`            // of this person's conversations: written, or new here
	Held     int `json:"held"`               // envelopes for others
	Refused  int `json:"refused,omitempty"`  // envelopes over a quota, expired or damaged
	Rooms    int `json:"rooms,omitempty"`    // conversations that these entries are of
	Messages int `json:"messages,omitempty"` // of Entries
}
