// Package content is the engine that decides what messages become: edits, removals,
// reactions, and how long anything is kept. From a message and all that was said about
// it follows what is shown, the same on every device, in whatever order it came. It
// does not know how entries travel, who is in a room, what time it is, or where
// anything is stored.
//
// PROTOCOL.md#what-messages-become has the rules.
package content

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// Place is where an entry stands among those of its room: by clock, then log, then
// number. Of two that contradict each other the later counts.
type Place struct {
	HLC chat.HLC
	Log chat.LogID
	Seq uint64
}

// PlaceOf returns where an entry stands.
func PlaceOf(h *wire.Header) Place { return Place{HLC: h.HLC, Log: h.Log, Seq: h.Seq} }

// Compare returns -1, 0 or 1 as p stands before q, is q, or stands behind it.
func (p Place) Compare(q Place) int {
	return cmp.Or(cmp.Compare(p.HLC, q.HLC), bytes.Compare(p.Log[:], q.Log[:]), cmp.Compare(p.Seq, q.Seq))
}

// Said is what an entry says to people. At most one of Edit, Remove, React and Setting
// is set; without any it is a message, unless Text is "": then nothing is shown of it.
type Said struct {
	// Text is that of a message or an edit, cleaned.
	Text     string
	ReplyTo  *chat.EntryID // of a message; perhaps not here
	Mentions []chat.PersonID
	// Expires is how long after its clock a message disappears, 0 for never.
	Expires time.Duration

	Edit    *chat.EntryID // the message that says Text, and calls Mentions, from now on
	Remove  []chat.EntryID
	React   *React
	Setting *Setting
}

// IsMessage reports whether it is a message of which something is shown.
func (s *Said) IsMessage() bool { return s.Text != "" && s.Edit == nil }

// React puts a sign under a message, or takes it away.
type React struct {
	Target chat.EntryID
	Sign   string // passes ValidSign
	Off    bool
}

// Setting is how long things are kept in a room: 0 for ever.
type Setting struct {
	At        Place         // zero where it was just read
	Disappear time.Duration // new messages, from when they were said
	Keep      time.Duration // everything, likewise
}

// Read returns what an entry of an open room, or one that was opened, says. Of kinds
// that are not for people, and of those of the future, it is nothing. The error is of
// chat.CodeInvalid: no honest device makes it.
func Read(kind wire.Kind, payload []byte) (Said, error) {
	switch kind {
	case wire.KindMessage:
		m, err := wire.DecodeMessage(payload)
		if err != nil {
			return Said{}, err
		}
		s := Said{Text: chat.CleanText(m.Text), Mentions: people(m.Mentions), Expires: seconds(m.Expires)}
		if m.Reply != nil {
			s.ReplyTo = new(chat.EntryID)
			copy(s.ReplyTo[:], m.Reply)
		}
		return s, nil
	case wire.KindEdit:
		e, err := wire.DecodeEdit(payload)
		if err != nil {
			return Said{}, err
		}
		text := chat.CleanText(e.Text)
		if text == "" {
			return Said{}, nil // who wants it gone removes it
		}
		id := chat.EntryID(e.Target)
		return Said{Text: text, Mentions: people(e.Mentions), Edit: &id}, nil
	case wire.KindDelete:
		d, err := wire.DecodeDelete(payload)
		if err != nil {
			return Said{}, err
		}
		var s Said
		for _, id := range d.Targets {
			if id := chat.EntryID(id); !slices.Contains(s.Remove, id) {
				s.Remove = append(s.Remove, id)
			}
		}
		return s, nil
	case wire.KindReaction:
		r, err := wire.DecodeReaction(payload)
		if err != nil || !ValidSign(r.Sign) {
			return Said{}, err
		}
		return Said{React: &React{Target: chat.EntryID(r.Target), Sign: r.Sign, Off: r.Off}}, nil
	case wire.KindSetting:
		v, err := wire.DecodeSetting(payload)
		if err != nil {
			return Said{}, err
		}
		return Said{Setting: &Setting{Disappear: seconds(v.Disappear), Keep: seconds(v.Keep)}}, nil
	}
	return Said{}, nil
}

func seconds(n uint64) time.Duration { return time.Duration(n) * time.Second }

// people returns the ids of a payload, each once.
func people(list [][]byte) (out []chat.PersonID) {
	for _, b := range list {
		if p := chat.PersonID(b); !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// Compose returns the payload of a message, which disappears after a time unless that
// is 0. The error is of chat.CodeTooLong or chat.CodeEmpty.
func Compose(d chat.Draft, disappear time.Duration) ([]byte, error) {
	text, err := sendable(d.Text)
	if err != nil {
		return nil, err
	}
	m := wire.Message{Text: text, Mentions: ids(d.Mentions), Expires: uint64(disappear / time.Second)}
	if d.ReplyTo != nil {
		m.Reply = d.ReplyTo[:]
	}
	return bounded(wire.Marshal(m))
}

// ComposeEdit returns the payload of an edit. The error is as Compose's.
func ComposeEdit(target chat.EntryID, text string, mentions []chat.PersonID) ([]byte, error) {
	text, err := sendable(text)
	if err != nil {
		return nil, err
	}
	return bounded(wire.Marshal(wire.Edit{Target: target[:], Text: text, Mentions: ids(mentions)}))
}

// ComposeDelete returns the payload that removes messages and their edits, the first
// chat.MaxRemoved of them.
func ComposeDelete(targets []chat.EntryID) []byte {
	var d wire.Delete
	for _, id := range targets[:min(len(targets), chat.MaxRemoved)] {
		d.Targets = append(d.Targets, bytes.Clone(id[:]))
	}
	return wire.Marshal(d)
}

// ComposeReaction returns the payload of a reaction. The error says that the sign is
// not one emoji.
func ComposeReaction(r React) ([]byte, error) {
	if !ValidSign(r.Sign) {
		return nil, chat.Errorf(chat.CodeUsage, "%.40q can't be put under a message. Choose one emoji.", r.Sign)
	}
	return wire.Marshal(wire.Reaction{Target: r.Target[:], Sign: r.Sign, Off: r.Off}), nil
}

// ComposeSetting returns the payload of a setting.
func ComposeSetting(s Setting) []byte {
	return wire.Marshal(wire.Setting{Disappear: uint64(s.Disappear / time.Second), Keep: uint64(s.Keep / time.Second)})
}

// sendable returns text as it is sent.
func sendable(text string) (string, error) {
	// Text that is not UTF-8 would be refused by everybody, and the log with it.
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) > chat.MaxText {
		return "", chat.Errorf(chat.CodeTooLong, "The message is %d bytes long and may be %d. Send it in parts.", len(text), chat.MaxText)
	}
	if chat.CleanText(text) == "" {
		return "", chat.Errorf(chat.CodeEmpty, "There is nothing to send. Write some text.")
	}
	return text, nil
}

func bounded(payload []byte) ([]byte, error) {
	if len(payload) > chat.MaxContent {
		return nil, chat.Errorf(chat.CodeTooLong, "With the people that it mentions the message takes %d bytes and may take %d. Mention fewer, or send it in parts.",
			len(payload), chat.MaxContent)
	}
	return payload, nil
}

func ids(list []chat.PersonID) (out [][]byte) {
	for _, p := range list[:min(len(list), chat.MaxMentions)] {
		out = append(out, bytes.Clone(p[:]))
	}
	return out
}
