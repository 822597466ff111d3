package node

import (
	"crypto/sha256"

	"earshot/chat"
	"earshot/chat/wire"
	"earshot/node/stream"
)

// contactsSum sums up what this device knows of other people.
func (c *core) contactsSum() [32]byte { return sha256.Sum256(nil) }

func (c *core) sayContacts(*stream.Stream) {}

func (c *core) heardContacts(chat.DeviceID, wire.OwnContacts) {}

// knowsSomebody reports whether this person has relations to others.
func (c *core) knowsSomebody() bool { return false }
