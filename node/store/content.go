package store

import (
	"time"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/wire"
)

// schemaContent is what messages became: edits, removals, reactions, expiry.
const schemaContent = ``

// Content is what an entry says beyond the text of a message.
type Content struct {
	ReplyTo  *chat.EntryID
	Mentions []chat.PersonID
	// MentionsMe says that this person is among Mentions.
	MentionsMe bool
	// Expires is when the message disappears, zero for never.
	Expires time.Time
	// The rest is of entries that are about messages, which may come before those:
	// at most one is set.
	Edit    *chat.EntryID // Record.Text is what this message says from now on
	Remove  []chat.EntryID
	React   *content.React
	Setting *content.Setting
}

// Rules is what a private room's membership says of how its messages are kept.
type Rules struct {
	Room chat.RoomID
	// Setting is the one that counts; Settings are all that did, in any order.
	Setting  content.Setting
	Settings []content.Setting
	Tenures  []content.Tenure
}

// Payload is an entry with its payload, which was stored without it. It says nothing
// yet: see Opening.
type Payload struct {
	Room  chat.RoomID
	Entry wire.Entry // checked: the payload is the one that its header names
}
