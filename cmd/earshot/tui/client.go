package tui

import (
	"context"
	"time"

	"earshot/chat"
)

// Client is what the interface asks of a running node. Every call may take long
// and fail; errors are sentences to a person.
type Client interface {
	Me(ctx context.Context) (chat.Me, error)
	// Events returns the events from now on.
	Events(ctx context.Context) Events
	talk
	telling
	acquaintance
	gathering
	verification
	devices
	keeping
	availability
	alerting
}

// talk is what is done in rooms of every kind.
type talk interface {
	Rooms(ctx context.Context) ([]chat.Room, error)
	// Join joins the open room of this name, which may be new.
	Join(ctx context.Context, name string) (chat.Room, error)
	Leave(ctx context.Context, room chat.RoomID) error
	// Send stores one message under clientID; repeated with the same clientID it
	// returns the message that is there already.
	Send(ctx context.Context, room chat.RoomID, d chat.Draft) (chat.Message, error)
	// Messages returns a page, oldest first.
	Messages(ctx context.Context, room chat.RoomID, page Page) ([]chat.Message, error)
	Typing(ctx context.Context, room chat.RoomID, typing bool) error
	Read(ctx context.Context, room chat.RoomID, upTo chat.EntryID) error
}

// telling is what is done about single messages, and about how long they last.
type telling interface {
	// Message tells the whole story of one message.
	Message(ctx context.Context, id chat.EntryID) (chat.MessageDetail, error)
	Edit(ctx context.Context, id chat.EntryID, text string) (chat.Message, error)
	// Delete removes a message for everybody.
	Delete(ctx context.Context, id chat.EntryID) (chat.Message, error)
	// React puts one emoji under a message, or takes the user's away.
	React(ctx context.Context, id chat.EntryID, sign string, on bool) (chat.Message, error)
	// Missing returns what is known to be missing in a room.
	Missing(ctx context.Context, room chat.RoomID) ([]chat.Missing, error)
	// View says that a room is on the screen.
	View(ctx context.Context, room chat.RoomID) error
	// SetDisappear has what is said from now on disappear after a time, 0 for never;
	// SetRetention has everything kept no longer than that.
	SetDisappear(ctx context.Context, room chat.RoomID, after time.Duration) error
	SetRetention(ctx context.Context, room chat.RoomID, keep time.Duration) error
}

// acquaintance is who knows whom, and what others may see of this person.
type acquaintance interface {
	People(ctx context.Context) ([]chat.Person, error)
	// Contacts returns everybody with whom there is a relation.
	Contacts(ctx context.Context) ([]chat.Contact, error)
	// FindPerson returns whom somebody means: a contact by name or id, anybody else
	// by id or its first 6 characters.
	FindPerson(ctx context.Context, who string) (chat.Person, error)
	AddContact(ctx context.Context, who chat.PersonID, note string) (chat.Contact, error)
	AcceptContact(ctx context.Context, who chat.PersonID) error
	DeclineContact(ctx context.Context, who chat.PersonID) error
	BlockPerson(ctx context.Context, who chat.PersonID) error
	UnblockPerson(ctx context.Context, who chat.PersonID) error
	// ForgetContact makes a contact a stranger, or withdraws a request.
	ForgetContact(ctx context.Context, who chat.PersonID) error
	// DecideClaim says whether somebody who goes by a verified contact's name is them.
	DecideClaim(ctx context.Context, verified, claimant chat.PersonID, same bool) error
	Privacy(ctx context.Context) (chat.Privacy, error)
	SetPrivacy(ctx context.Context, p chat.Privacy) error
}

// gathering is what is done about direct chats and private rooms.
type gathering interface {
	DirectChat(ctx context.Context, who chat.PersonID) (chat.Room, error)
	CreateRoom(ctx context.Context, name, history string) (chat.Room, error)
	Members(ctx context.Context, room chat.RoomID) ([]chat.Member, error)
	Invite(ctx context.Context, room chat.RoomID, who chat.PersonID, role string) error
	// Remove ends a membership, or takes an invitation back.
	Remove(ctx context.Context, room chat.RoomID, who chat.PersonID) error
	SetRole(ctx context.Context, room chat.RoomID, who chat.PersonID, role string) error
	RenameRoom(ctx context.Context, room chat.RoomID, name string) error
	SetTopic(ctx context.Context, room chat.RoomID, topic string) error
	Invitations(ctx context.Context) ([]chat.Invitation, error)
	AcceptInvitation(ctx context.Context, room chat.RoomID) (chat.Room, error)
	DeclineInvitation(ctx context.Context, room chat.RoomID) error
}

// verification is how two people find out that each holds the other's true key.
type verification interface {
	// Verification returns the number and the code, and how far a comparison is that
	// is under way. It asks nobody.
	Verification(ctx context.Context, who chat.PersonID) (chat.Verification, error)
	// StartVerification begins a comparison with somebody, or joins theirs. What
	// follows comes as events.
	StartVerification(ctx context.Context, who chat.PersonID) (chat.Verification, error)
	SayVerification(ctx context.Context, who chat.PersonID, same bool) error
	CancelVerification(ctx context.Context, who chat.PersonID) error
	// MarkVerified takes the 60 digits of the other's device, or the text of their
	// QR code.
	MarkVerified(ctx context.Context, who chat.PersonID, evidence string) error
}

// devices is what is done about this person's own devices.
type devices interface {
	Devices(ctx context.Context) ([]chat.OwnDevice, error)
	AddDevice(ctx context.Context) (chat.Pairing, error)
	// JoinDevice, on the new device, takes the code that the old one shows.
	JoinDevice(ctx context.Context, code, label string) (chat.Pairing, error)
	ConfirmDevice(ctx context.Context, yes bool) error
	CancelPairing(ctx context.Context) error
	RevokeDevice(ctx context.Context, device chat.DeviceID) error
}

// keeping is what is held for people who are away.
type keeping interface {
	Keeper(ctx context.Context) (chat.Keeper, error)
	// SetKeeper has this node hold sealed messages for the user's contacts, in up to
	// space bytes (0 for the usual), or no longer.
	SetKeeper(ctx context.Context, on bool, space int64) (chat.Keeper, error)
}

// availability is whether this person and others are free, and what people tell of
// themselves.
type availability interface {
	Status(ctx context.Context) (chat.OwnStatus, error)
	SetStatus(ctx context.Context, change chat.StatusChange) (chat.OwnStatus, error)
	// Active says that the user has just touched the interface.
	Active(ctx context.Context) error
	// Watch has one event come when a contact is free, or calls that off.
	Watch(ctx context.Context, who chat.PersonID, on bool) error
	Profile(ctx context.Context) (chat.OwnProfile, error)
	SetProfile(ctx context.Context, p chat.OwnProfile) (chat.OwnProfile, error)
	// SetGroups puts a contact into these groups and no others.
	SetGroups(ctx context.Context, who chat.PersonID, groups []string) (chat.Contact, error)
	SetTeam(ctx context.Context, who chat.PersonID, team bool) (chat.Contact, error)
}

// alerting is what may interrupt this person, and how.
type alerting interface {
	Alerts(ctx context.Context) (chat.Alerts, error)
	// SetAlerts changes all but what is set of single conversations.
	SetAlerts(ctx context.Context, a chat.Alerts) (chat.Alerts, error)
	// SetRoomAlerts sets what of a conversation may alert, "" for the usual.
	SetRoomAlerts(ctx context.Context, room chat.RoomID, level string) (chat.Room, error)
}

// Page asks for at most Limit messages of a room: those just before the message
// Before, or just after the message After, or with neither the newest.
type Page struct {
	Before, After chat.EntryID
	Limit         int
}

// Events is a stream of events that mends itself: an error means that the node
// can't be reached now, and that Next may be called again.
type Events interface {
	Next(ctx context.Context) (chat.Event, error)
	// Close ends the stream and waits until nothing of it runs.
	Close()
}
