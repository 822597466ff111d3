package api

import (
	"context"
	"io"
	"time"

	"earshot/chat"
	"earshot/node/feed"
)

const (
	// DefaultPage is how many messages are read when no limit is given.
	DefaultPage = 50
	// MaxPage bounds the messages of one reply: 500 of the longest are 7.5 MiB.
	MaxPage = 500
)

// Page says which messages of a room to read: the newest, or with Before those
// just before that message, or with After those just after it; never both.
type Page struct {
	Before, After chat.EntryID
	// Limit bounds the messages, 1 to MaxPage; 0 means DefaultPage.
	Limit int
}

// Backend is what the API needs of a running node. Errors that are a *chat.Error
// reach the caller as they are. All methods may be called from many goroutines and
// return when ctx ends.
type Backend interface {
	RoomBackend
	MessageBackend
	CourierBackend
	PeopleBackend
	VerificationBackend
	DeviceBackend
	PresenceBackend
	AlertBackend
	Me(ctx context.Context) (chat.Me, error)
	// Facts returns up to limit stored facts after a cursor, in order.
	Facts(ctx context.Context, after chat.Cursor, limit int) ([]chat.Event, error)
	// Backup writes an encrypted copy of keys and history, as of one moment.
	Backup(ctx context.Context, passphrase string, w io.Writer) error
	// Feed returns the one feed of this run.
	Feed() *feed.Feed
}

// RoomBackend is what a Backend does about conversations. Errors about a sealed
// one may have chat.CodeHeld (nothing may be sent to somebody in it) or
// chat.CodeNoKey.
type RoomBackend interface {
	// Rooms returns the rooms this node is in, in the order to show them, and then
	// those it has left.
	Rooms(ctx context.Context) ([]chat.Room, error)
	// FindRoom returns the room that a person means: "#name" for an open or a
	// private room, "@name" or a person's id for the direct chat with a contact,
	// the id of a room or at least its first 6 characters, or a bare name: a room
	// of that name, else a contact. Several: chat.CodeAmbiguous with all of them
	// and their ids in the text. None: chat.CodeNotFound. Rooms that were left are
	// found where no other fits.
	FindRoom(ctx context.Context, ref string) (chat.Room, error)
	// JoinRoom joins the open room with this name, which may be new.
	JoinRoom(ctx context.Context, name string) (chat.Room, error)
	// LeaveRoom leaves an open room, or a private one for good: only an invitation
	// leads back there.
	LeaveRoom(ctx context.Context, room chat.RoomID) error
	// Send returns when the message is stored. A second call with the same ClientID,
	// if that is not empty, returns the message of the first.
	Send(ctx context.Context, room chat.RoomID, d chat.Draft) (chat.Message, error)
	// Messages returns a page, oldest first. Limit is set and within its bounds.
	Messages(ctx context.Context, room chat.RoomID, page Page) ([]chat.Message, error)
	SetTyping(ctx context.Context, room chat.RoomID, typing bool) error
	MarkRead(ctx context.Context, room chat.RoomID, upTo chat.EntryID) error

	// DirectChat returns the chat with a contact, else chat.CodeNotContact.
	DirectChat(ctx context.Context, who chat.PersonID) (chat.Room, error)
	// CreateRoom makes a private room of which this person is the owner. history
	// is one of chat.HistoryNone and its like, "" for the usual.
	CreateRoom(ctx context.Context, name, history string) (chat.Room, error)
	// Members returns who is in a sealed room, those invited last.
	Members(ctx context.Context, room chat.RoomID) ([]chat.Member, error)
	// Invite asks a contact into a private room as chat.RoleMember ("" too) or more.
	Invite(ctx context.Context, room chat.RoomID, who chat.PersonID, role string) error
	// Remove ends somebody's membership, or takes an invitation back: they read
	// nothing that is said from now on.
	Remove(ctx context.Context, room chat.RoomID, who chat.PersonID) error
	SetRole(ctx context.Context, room chat.RoomID, who chat.PersonID, role string) error
	RenameRoom(ctx context.Context, room chat.RoomID, name string) error
	// SetTopic changes what a private room is about; "" for nothing.
	SetTopic(ctx context.Context, room chat.RoomID, topic string) error
	// Invitations returns the private rooms that wait for an answer, oldest first.
	Invitations(ctx context.Context) ([]chat.Invitation, error)
	AcceptInvitation(ctx context.Context, room chat.RoomID) (chat.Room, error)
	DeclineInvitation(ctx context.Context, room chat.RoomID) error
}

// MessageBackend is what a Backend does about single messages. An unknown message is
// chat.CodeNotFound.
type MessageBackend interface {
	// FindMessage returns the id that ref means: an id or at least the first 6
	// characters of one. Several: chat.CodeAmbiguous.
	FindMessage(ctx context.Context, ref string) (chat.EntryID, error)
	// Message tells the whole story of one message, of whatever room.
	Message(ctx context.Context, id chat.EntryID) (chat.MessageDetail, error)
	// Edit changes what a message of one's own says, else chat.CodeDenied.
	Edit(ctx context.Context, id chat.EntryID, text string) (chat.Message, error)
	// Delete removes a message of one's own, or, for admins of its room, anybody's.
	Delete(ctx context.Context, id chat.EntryID) (chat.Message, error)
	// React puts a sign (one emoji) under a message, or takes one's own away.
	React(ctx context.Context, id chat.EntryID, sign string, on bool) (chat.Message, error)
	// Missing returns what is known to be missing in a room.
	Missing(ctx context.Context, room chat.RoomID) ([]chat.Missing, error)
	// View says which room is on a screen: what is missing there comes first.
	View(ctx context.Context, room chat.RoomID) error
	// SetDisappear has what is said in a sealed room from now on disappear after a
	// time, 0 for never; SetRetention has everything in it kept no longer than that.
	// Either person may in a direct chat, admins in a private room.
	SetDisappear(ctx context.Context, room chat.RoomID, after time.Duration) error
	SetRetention(ctx context.Context, room chat.RoomID, keep time.Duration) error
}

// CourierBackend is what a Backend does for people who are away.
type CourierBackend interface {
	Keeper(ctx context.Context) (chat.Keeper, error)
	// SetKeeper has this node hold sealed entries for its contacts, in up to space
	// bytes (0 for the usual), or no longer.
	SetKeeper(ctx context.Context, on bool, space int64) (chat.Keeper, error)
	// CarryOut writes sealed entries, for others to read where the bytes are carried.
	CarryOut(ctx context.Context, w io.Writer) (chat.Carried, error)
	// CarryIn takes up what CarryOut wrote, here or elsewhere. Damaged or foreign
	// bytes are chat.CodeInvalid, and what was whole before them is taken.
	CarryIn(ctx context.Context, r io.Reader) (chat.Carried, error)
}

// PeopleBackend is what a Backend does about other people.
type PeopleBackend interface {
	// People returns everybody known, whoever is here first.
	People(ctx context.Context) ([]chat.Person, error)
	// FindPerson returns whom a person means: anybody by their id or at least its
	// first 6 characters, a contact by name too. Several: chat.CodeAmbiguous with
	// all of them and their ids in the text. None: chat.CodeNotFound.
	FindPerson(ctx context.Context, who string) (chat.Person, error)
	// Contacts returns everybody with whom there is a relation: first who is
	// asking, then contacts, requested and blocked.
	Contacts(ctx context.Context) ([]chat.Contact, error)
	// AddContact asks somebody to become a contact, or takes their request if they
	// have asked.
	AddContact(ctx context.Context, who chat.PersonID, note string) (chat.Contact, error)
	AcceptContact(ctx context.Context, who chat.PersonID) error
	// DeclineContact drops a request. They are not told.
	DeclineContact(ctx context.Context, who chat.PersonID) error
	// BlockPerson ends every relation: they see what they would of one who is away.
	BlockPerson(ctx context.Context, who chat.PersonID) error
	// UnblockPerson makes a blocked person a stranger.
	UnblockPerson(ctx context.Context, who chat.PersonID) error
	// ForgetContact makes a contact a stranger, or withdraws a request.
	ForgetContact(ctx context.Context, who chat.PersonID) error
	// DecideClaim says whether the claimant is the verified contact with a new root
	// key, which is then a contact but not verified, or somebody else of that name.
	DecideClaim(ctx context.Context, verified, claimant chat.PersonID, same bool) error
	Privacy(ctx context.Context) (chat.Privacy, error)
	SetPrivacy(ctx context.Context, p chat.Privacy) error
}

// VerificationBackend is how a Backend compares root keys with contacts. What
// follows StartVerification comes as VerificationEvents.
type VerificationBackend interface {
	// Verification returns the Number and QR of a contact and, while a comparison is
	// under way, where it stands; else State is "". It asks nobody anything.
	Verification(ctx context.Context, who chat.PersonID) (chat.Verification, error)
	// StartVerification begins a live comparison, or joins the one they have begun
	// or that is under way. Somebody who is not here yields VerificationEnded and a
	// Reason; Number and QR are set all the same.
	StartVerification(ctx context.Context, who chat.PersonID) (chat.Verification, error)
	// SayVerification says whether both see the same symbols.
	SayVerification(ctx context.Context, who chat.PersonID, same bool) error
	CancelVerification(ctx context.Context, who chat.PersonID) error
	// MarkVerified takes evidence from the other person's device: the 60 digits, or
	// the text of their QR code. Evidence that does not fit has chat.CodeDenied.
	MarkVerified(ctx context.Context, who chat.PersonID, evidence string) error
}

// DeviceBackend is what a Backend does about this person's own devices. What
// follows AddDevice and JoinDevice comes as PairingEvents; one pairing at a time.
type DeviceBackend interface {
	// Devices returns this person's devices, this one first, revoked ones last.
	Devices(ctx context.Context) ([]chat.OwnDevice, error)
	// AddDevice returns a code for a new device, in state PairingCode.
	AddDevice(ctx context.Context) (chat.Pairing, error)
	// JoinDevice, on the new device, looks for the device that shows the code (its
	// 8 digits, or the QR text). label is what to call this one, "" for its host
	// name.
	JoinDevice(ctx context.Context, code, label string) (chat.Pairing, error)
	// ConfirmDevice answers PairingConfirm, on both devices.
	ConfirmDevice(ctx context.Context, yes bool) error
	CancelPairing(ctx context.Context) error
	// RevokeDevice ends a device of this person's for good: it reads nothing that
	// is said from now on.
	RevokeDevice(ctx context.Context, device chat.DeviceID) error
}

// PresenceBackend is what a Backend does about who is free. How others are comes with
// People, and as PersonEvents.
type PresenceBackend interface {
	Status(ctx context.Context) (chat.OwnStatus, error)
	// SetStatus changes what this person shows, on all of their devices. A time that is
	// over, or more than chat.MaxStatusFor ahead, is chat.CodeUsage. A meeting of which
	// no end is given lasts an hour.
	SetStatus(ctx context.Context, change chat.StatusChange) (chat.OwnStatus, error)
	// Active says that the person has just touched a face: who is away is back.
	Active(ctx context.Context) error
	// Watch has one FreeEvent, and an alert, come when somebody is free; of one who is
	// free already at once. Nobody but contacts can be watched.
	Watch(ctx context.Context, who chat.PersonID, on bool) error
	Profile(ctx context.Context) (chat.OwnProfile, error)
	SetProfile(ctx context.Context, p chat.OwnProfile) (chat.OwnProfile, error)
	// FindEmail returns the contacts with this e-mail address, whatever its case; none:
	// chat.CodeNotFound.
	FindEmail(ctx context.Context, email string) ([]chat.Person, error)
	// SetGroups puts a contact into these groups and no others.
	SetGroups(ctx context.Context, who chat.PersonID, groups []string) (chat.Contact, error)
	// SetTeam says whether a contact is of the team.
	SetTeam(ctx context.Context, who chat.PersonID, team bool) (chat.Contact, error)
}

// AlertBackend is how a Backend alerts the person. Alerts come as AlertEvents.
type AlertBackend interface {
	Alerts(ctx context.Context) (chat.Alerts, error)
	// SetAlerts changes all settings at once, but for those of single rooms.
	SetAlerts(ctx context.Context, a chat.Alerts) (chat.Alerts, error)
	// SetRoomAlerts sets what of a conversation alerts; "" for the usual.
	SetRoomAlerts(ctx context.Context, room chat.RoomID, level string) (chat.Room, error)
}
