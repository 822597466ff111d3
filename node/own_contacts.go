package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"slices"

	"earshot/chat"
	"earshot/chat/contacts"
	"earshot/chat/identity"
	"earshot/chat/wire"
	"earshot/node/stream"
)

// This file is how relations to other people travel between the devices of one.

// sharedRecord is the layout of a relation in OwnContacts: the stored form, without
// what is between the other person and one device only.
type sharedRecord struct {
	Record []byte `cbor:"1,keyasint"`
	Root   []byte `cbor:"2,keyasint,omitempty"` // the person's root key, where it is known
}

// maxShared is how much of them goes into one frame, in bytes: one more of the
// largest fits.
const maxShared = chat.MaxFrame - wire.MaxOwnRecord - 1024

// shared returns a relation as other own devices are told it.
func (c *core) shared(r contacts.Record) []byte {
	r.Message, r.Tries = nil, 0
	r.NextTry, r.QuietUntil = moment(0), moment(0)
	r.Device, r.Claimant = chat.DeviceID{}, chat.PersonID{}
	// Each device has come to know them in an order of its own.
	r.Namesakes = slices.SortedFunc(slices.Values(r.Namesakes), comparePersons)
	out := sharedRecord{Record: encodeRecord(r)}
	if per := c.people.persons[r.Person]; per != nil && r.Relation != contacts.Stranger {
		out.Root = per.root
	}
	return wire.Marshal(out)
}

// contactsSum sums up what this device knows of other people, as far as own devices
// come to know the same: names are as each last heard them.
func (c *core) contactsSum() [32]byte {
	h := sha256.New()
	for _, r := range c.circle.engine.Records() {
		r.Name, r.Note = "", ""
		h.Write(c.shared(r))
	}
	return [32]byte(h.Sum(nil))
}

// knowsSomebody reports whether this person has relations to others.
func (c *core) knowsSomebody() bool {
	for _, r := range c.circle.engine.Records() {
		if r.Relation != contacts.Stranger {
			return true
		}
	}
	return false
}

// contactFrames returns relations as frames for other own devices.
func (c *core) contactFrames(records []contacts.Record) (out [][]byte) {
	var f wire.OwnContacts
	size := 0
	flush := func() {
		if len(f.Records) > 0 {
			out = append(out, wire.EncodeFrame(f))
			f.Records, size = nil, 0
		}
	}
	for _, r := range records {
		b := c.shared(r)
		if len(b) > wire.MaxOwnRecord {
			continue
		}
		f.Records = append(f.Records, b)
		if size += len(b) + 4; size > maxShared || len(f.Records) == wire.MaxOwnRecords {
			flush()
		}
	}
	flush()
	return out
}

// sayContacts tells another own device everything that this one knows of people.
func (c *core) sayContacts(s *stream.Stream) {
	frames := c.contactFrames(c.circle.engine.Records())
	c.n.spawn(func(ctx context.Context) {
		for _, f := range frames {
			if s.Send(ctx, f) != nil {
				return
			}
		}
	})
}

// contactLetters returns what other own devices are to be told of relations that have
// changed. What does not arrive comes with the next stream.
func (c *core) contactLetters(changed []contacts.Record) (out []letter) {
	for _, link := range c.own.links {
		if link.stream == nil {
			continue
		}
		for _, f := range c.contactFrames(changed) {
			out = append(out, letter{link.stream, f})
		}
	}
	return out
}

// heardContacts takes what another own device knows of people.
func (c *core) heardContacts(d chat.DeviceID, f wire.OwnContacts) {
	for _, b := range f.Records {
		var s sharedRecord
		err := wire.Unmarshal(b, &s)
		var r contacts.Record
		if err == nil {
			r, err = decodeRecord(s.Record)
		}
		if err != nil {
			c.refuse(d, chat.Wrap(chat.CodeInvalid, err, "Another device of yours told of a contact in a way that can't be read.", "Update Earshot on it."))
			return
		}
		if len(s.Root) == ed25519.PublicKeySize && identity.Person(s.Root) == r.Person && r.Relation != contacts.Stranger {
			if per := c.people.remember(r.Person, chat.CleanName(r.Name)); !bytes.Equal(per.root, s.Root) {
				per.root = s.Root
			}
		}
		c.contact(contacts.Merge{Record: r}, nil)
	}
}
