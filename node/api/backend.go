package api

import (
	"context"
	"io"

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
	Me(ctx context.Context) (chat.Me, error)
	// People returns everybody known, whoever is here first.
	People(ctx context.Context) ([]chat.Person, error)
	// Rooms returns the rooms this node is in, in the order to show them.
	Rooms(ctx context.Context) ([]chat.Room, error)
	// FindRoom returns the room with this name (the # may be missing) or id, or
	// chat.CodeNotFound.
	FindRoom(ctx context.Context, ref string) (chat.Room, error)
	// JoinRoom joins the open room with this name, which may be new.
	JoinRoom(ctx context.Context, name string) (chat.Room, error)
	LeaveRoom(ctx context.Context, room chat.RoomID) error
	// Send returns when the message is stored. A second call with the same
	// clientID, if that is not empty, returns the message of the first.
	Send(ctx context.Context, room chat.RoomID, text, clientID string) (chat.Message, error)
	// Messages returns a page, oldest first. Limit is set and within its bounds.
	Messages(ctx context.Context, room chat.RoomID, page Page) ([]chat.Message, error)
	SetTyping(ctx context.Context, room chat.RoomID, typing bool) error
	MarkRead(ctx context.Context, room chat.RoomID, upTo chat.EntryID) error
	// Facts returns up to limit stored facts after a cursor, in order.
	Facts(ctx context.Context, after chat.Cursor, limit int) ([]chat.Event, error)
	// Backup writes an encrypted copy of keys and history, as of one moment.
	Backup(ctx context.Context, passphrase string, w io.Writer) error
	// Feed returns the one feed of this run.
	Feed() *feed.Feed
}
