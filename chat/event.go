package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"time"
)

// Event is what a face is told as it happens: a sealed union with stable JSON
// names. Facts (MessageEvent, MessageChangedEvent, RoomEvent) are stored, numbered and can be read
// again; the rest is weather: only its latest value counts, it is never replayed.
type Event interface {
	// EventType returns the stable name that stands in JSON as "type".
	EventType() string
	// Key says which earlier weather this one replaces; facts return "".
	Key() string
	isEvent()
}

// Cursor numbers the facts of one home in the order they were stored, from 1.
type Cursor uint64

// MessageEvent: a message was stored. A fact.
type MessageEvent struct {
	Cursor Cursor `json:"cursor"`
	Message
}

// MessageChangedEvent: a stored message was edited, removed or reacted to, and is now
// as here. A fact; of one message only the latest is kept.
type MessageChangedEvent struct {
	Cursor Cursor `json:"cursor"`
	Message
}

// RoomEvent: this node joined or left a room, of whatever kind. A fact.
type RoomEvent struct {
	Cursor Cursor    `json:"cursor"`
	Room   string    `json:"room"`
	RoomID RoomID    `json:"room_id"`
	Joined bool      `json:"joined"`
	At     time.Time `json:"at"`
}

// PersonEvent: somebody came, went, or changed their name. Weather by person.
type PersonEvent struct {
	Person
}

// TypingEvent: somebody types in a room, or stopped. Weather by room and person.
type TypingEvent struct {
	Room   string    `json:"room"`
	RoomID RoomID    `json:"room_id"`
	From   Author    `json:"from"`
	Typing bool      `json:"typing"`
	Until  time.Time `json:"until,omitzero"` // when it lapses unless renewed
}

// ReadEvent: what is unread in a room changed. Weather by room.
type ReadEvent struct {
	Room     string   `json:"room"`
	RoomID   RoomID   `json:"room_id"`
	Unread   int      `json:"unread"`
	ReadUpTo *EntryID `json:"read_up_to,omitempty"`
}

// StatesEvent: messages of one's own in a room have come further. Weather by room:
// ask for what is shown again.
type StatesEvent struct {
	Room   string `json:"room"`
	RoomID RoomID `json:"room_id"`
}

// MissingEvent: all that is known to be missing in a room, which may be nothing now.
// Weather by room.
type MissingEvent struct {
	Room    string    `json:"room"`
	RoomID  RoomID    `json:"room_id"`
	Missing []Missing `json:"missing"`
}

// KeeperEvent: what this node holds for others has changed. Weather.
type KeeperEvent struct {
	Keeper
}

// WarningEvent: something is wrong, or (with Clear) no longer. Weather by code.
type WarningEvent struct {
	Warning Error `json:"warning"`
	Clear   bool  `json:"clear,omitempty"`
}

// SyncEvent: how far catching up with a peer has come. Weather by device.
type SyncEvent struct {
	Device   DeviceID `json:"device"`
	Received int      `json:"received"` // entries in this session
	Done     bool     `json:"done"`
}

// ContactEvent: a relation changed. Weather by person.
type ContactEvent struct {
	Contact
}

// TrayEvent: the requests that wait for an answer, all of them, oldest first.
// Weather.
type TrayEvent struct {
	Requests []Contact `json:"requests"`
}

// InvitationEvent: an invitation to a private room came, or (with Gone) is no
// more. Weather by room.
type InvitationEvent struct {
	Invitation
	Gone bool `json:"gone,omitempty"`
}

// RoomChangedEvent: the name, the topic, the members or their roles changed in a
// sealed room. Weather by room.
type RoomChangedEvent struct {
	Room
	Members []Member `json:"people"` // all of them; Room's own Members is their number
	// By and What tell it as a sentence: "Bob" "removed Eve". By is empty where
	// nobody in particular did it.
	By   string `json:"by,omitempty"`
	What string `json:"what,omitempty"`
}

// VerificationEvent: a live comparison of keys went on. Weather by person.
type VerificationEvent struct {
	Verification
}

// PairingEvent: the adding of a device went on. Weather.
type PairingEvent struct {
	Pairing
}

// PrivacyEvent: this person changed what others may see. Weather.
type PrivacyEvent struct {
	Privacy
}

// StatusEvent: this person's own status changed. Weather.
type StatusEvent struct {
	OwnStatus
}

// ProfileEvent: this person's own profile changed. Weather.
type ProfileEvent struct {
	OwnProfile
}

// AlertEvent calls this person to a conversation or, with Gone, does no longer. Weather
// by room.
type AlertEvent struct {
	Alert
	Gone bool `json:"gone,omitempty"`
}

// AlertsEvent: how this person is to be alerted changed. Weather.
type AlertsEvent struct {
	Alerts
}

// FreeEvent: somebody who was watched is free now, and is watched no more. Weather by
// person.
type FreeEvent struct {
	Person
}

// ReadyEvent opens every stream of events: which run of the node it is, and the
// newest fact at that moment.
type ReadyEvent struct {
	Run    string `json:"run"`
	Cursor Cursor `json:"cursor"`
}

// GapEvent says that the reader was too slow and missed weather, or facts from
// Cursor+1 on: read people and rooms again, and facts from Cursor.
type GapEvent struct {
	Cursor Cursor `json:"cursor"`
	Missed int    `json:"missed"`
}

func (MessageEvent) EventType() string        { return "message" }
func (RoomEvent) EventType() string           { return "room" }
func (PersonEvent) EventType() string         { return "person" }
func (TypingEvent) EventType() string         { return "typing" }
func (ReadEvent) EventType() string           { return "read" }
func (WarningEvent) EventType() string        { return "warning" }
func (SyncEvent) EventType() string           { return "sync" }
func (ContactEvent) EventType() string        { return "contact" }
func (TrayEvent) EventType() string           { return "tray" }
func (InvitationEvent) EventType() string     { return "invitation" }
func (RoomChangedEvent) EventType() string    { return "room_changed" }
func (VerificationEvent) EventType() string   { return "verification" }
func (PairingEvent) EventType() string        { return "pairing" }
func (PrivacyEvent) EventType() string        { return "privacy" }
func (MessageChangedEvent) EventType() string { return "message_changed" }
func (StatesEvent) EventType() string         { return "states" }
func (MissingEvent) EventType() string        { return "missing" }
func (KeeperEvent) EventType() string         { return "keeper" }
func (StatusEvent) EventType() string         { return "status" }
func (ProfileEvent) EventType() string        { return "profile" }
func (AlertEvent) EventType() string          { return "alert" }
func (AlertsEvent) EventType() string         { return "alerts" }
func (FreeEvent) EventType() string           { return "free" }
func (ReadyEvent) EventType() string          { return "ready" }
func (GapEvent) EventType() string            { return "gap" }

func (MessageEvent) Key() string        { return "" }
func (RoomEvent) Key() string           { return "" }
func (e PersonEvent) Key() string       { return "person " + string(e.Person.Person[:]) }
func (e TypingEvent) Key() string       { return "typing " + string(e.RoomID[:]) + string(e.From.Person[:]) }
func (e ReadEvent) Key() string         { return "read " + string(e.RoomID[:]) }
func (e WarningEvent) Key() string      { return "warning " + string(e.Warning.Code) }
func (e SyncEvent) Key() string         { return "sync " + string(e.Device[:]) }
func (e ContactEvent) Key() string      { return "contact " + string(e.Person.Person[:]) }
func (TrayEvent) Key() string           { return "tray" }
func (e InvitationEvent) Key() string   { return "invitation " + string(e.RoomID[:]) }
func (e RoomChangedEvent) Key() string  { return "room_changed " + string(e.RoomID[:]) }
func (e VerificationEvent) Key() string { return "verification " + string(e.Person[:]) }
func (PairingEvent) Key() string        { return "pairing" }
func (PrivacyEvent) Key() string        { return "privacy" }
func (MessageChangedEvent) Key() string { return "" }
func (e StatesEvent) Key() string       { return "states " + string(e.RoomID[:]) }
func (e MissingEvent) Key() string      { return "missing " + string(e.RoomID[:]) }
func (KeeperEvent) Key() string         { return "keeper" }
func (StatusEvent) Key() string         { return "status" }
func (ProfileEvent) Key() string        { return "profile" }
func (e AlertEvent) Key() string        { return "alert " + string(e.RoomID[:]) }
func (AlertsEvent) Key() string         { return "alerts" }
func (e FreeEvent) Key() string         { return "free " + string(e.Person.Person[:]) }
func (ReadyEvent) Key() string          { return "ready" }
func (GapEvent) Key() string            { return "gap" }

func (MessageEvent) isEvent()        {}
func (RoomEvent) isEvent()           {}
func (PersonEvent) isEvent()         {}
func (TypingEvent) isEvent()         {}
func (ReadEvent) isEvent()           {}
func (WarningEvent) isEvent()        {}
func (SyncEvent) isEvent()           {}
func (ContactEvent) isEvent()        {}
func (TrayEvent) isEvent()           {}
func (InvitationEvent) isEvent()     {}
func (RoomChangedEvent) isEvent()    {}
func (VerificationEvent) isEvent()   {}
func (PairingEvent) isEvent()        {}
func (PrivacyEvent) isEvent()        {}
func (MessageChangedEvent) isEvent() {}
func (StatesEvent) isEvent()         {}
func (MissingEvent) isEvent()        {}
func (KeeperEvent) isEvent()         {}
func (StatusEvent) isEvent()         {}
func (ProfileEvent) isEvent()        {}
func (AlertEvent) isEvent()          {}
func (AlertsEvent) isEvent()         {}
func (FreeEvent) isEvent()           {}
func (ReadyEvent) isEvent()          {}
func (GapEvent) isEvent()            {}

// Fact reports whether e is stored and numbered, and its number.
func Fact(e Event) (Cursor, bool) {
	switch e := e.(type) {
	case MessageEvent:
		return e.Cursor, true
	case MessageChangedEvent:
		return e.Cursor, true
	case RoomEvent:
		return e.Cursor, true
	}
	return 0, false
}

// events lists every implementation once; a test walks it.
var events = []Event{
	MessageEvent{},
	RoomEvent{},
	PersonEvent{},
	TypingEvent{},
	ReadEvent{},
	WarningEvent{},
	SyncEvent{},
	ContactEvent{},
	TrayEvent{},
	InvitationEvent{},
	RoomChangedEvent{},
	VerificationEvent{},
	PairingEvent{},
	PrivacyEvent{},
	MessageChangedEvent{},
	StatesEvent{},
	MissingEvent{},
	KeeperEvent{},
	StatusEvent{},
	ProfileEvent{},
	AlertEvent{},
	AlertsEvent{},
	FreeEvent{},
	ReadyEvent{},
	GapEvent{},
}

// MarshalEvent returns e as one JSON object whose first field is "type".
func MarshalEvent(e Event) ([]byte, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(body)+len(typeFirst)+32)
	out = append(append(out, typeFirst...), e.EventType()...)
	out = append(out, '"')
	if len(body) > 2 {
		out = append(out, ',')
	}
	return append(out, body[1:]...), nil
}

// typeFirst is how an event begins.
const typeFirst = `{"type":"`

// eventType returns the type of an event, of which nothing else is read if it stands
// first as MarshalEvent has it.
func eventType(b []byte) (string, error) {
	if rest, ok := bytes.CutPrefix(b, []byte(typeFirst)); ok {
		if name, _, ok := bytes.Cut(rest, []byte{'"'}); ok && !bytes.ContainsRune(name, '\\') {
			return string(name), nil
		}
	}
	var head struct {
		Type string `json:"type"`
	}
	err := json.Unmarshal(b, &head)
	return head.Type, err
}

// UnmarshalEvent reads what MarshalEvent wrote. An event of a type this version
// does not know yields nil and no error: the future is skipped, not refused.
func UnmarshalEvent(b []byte) (Event, error) {
	name, err := eventType(b)
	if err != nil {
		return nil, err
	}
	for _, proto := range events {
		if proto.EventType() != name {
			continue
		}
		p := reflect.New(reflect.TypeOf(proto))
		if err := json.Unmarshal(b, p.Interface()); err != nil {
			return nil, err
		}
		return p.Elem().Interface().(Event), nil
	}
	if !json.Valid(b) {
		return nil, errors.New("an event of an unknown type that is no JSON")
	}
	return nil, nil
}
