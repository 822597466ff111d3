package node

import (
	"crypto/rand"
	"fmt"
	"time"

	"earshot/chat"
	"earshot/chat/contacts"
	"earshot/chat/wire"
)

// This file is how relations and settings are written down.

const (
	recordPrefix = "contact/"
	rootPrefix   = "contact-root/"
	privacyKey   = "privacy"
)

func recordKey(p chat.PersonID) string { return recordPrefix + p.String() }

// rootKey is where the root key of somebody with whom there is a relation stands,
// 32 bytes.
func rootKey(p chat.PersonID) string { return rootPrefix + p.String() }

func newNonce() (nonce [contacts.NonceSize]byte) {
	_, _ = rand.Read(nonce[:]) // never fails
	return nonce
}

// storedRecord is the layout of a contacts.Record. Times are microseconds since
// 1970, 0 for none. Keys that are not known are skipped.
type storedRecord struct {
	Person        []byte   `cbor:"1,keyasint"`
	Relation      uint8    `cbor:"2,keyasint"`
	Since         uint64   `cbor:"3,keyasint,omitempty"`
	Name          string   `cbor:"4,keyasint,omitempty"`
	Note          string   `cbor:"5,keyasint,omitempty"`
	Device        []byte   `cbor:"6,keyasint,omitempty"`
	Request       []byte   `cbor:"7,keyasint,omitempty"`
	Chat          []byte   `cbor:"8,keyasint,omitempty"`
	Message       []byte   `cbor:"9,keyasint,omitempty"`
	Tries         uint64   `cbor:"10,keyasint,omitempty"`
	NextTry       uint64   `cbor:"11,keyasint,omitempty"`
	DeclinedUntil uint64   `cbor:"12,keyasint,omitempty"`
	Claimant      []byte   `cbor:"13,keyasint,omitempty"`
	Namesakes     [][]byte `cbor:"14,keyasint,omitempty"`
	QuietUntil    uint64   `cbor:"15,keyasint,omitempty"`
	Forgotten     bool     `cbor:"16,keyasint,omitempty"`
	Groups        []string `cbor:"17,keyasint,omitempty"`
	GroupsAt      uint64   `cbor:"18,keyasint,omitempty"`
	Team          bool     `cbor:"19,keyasint,omitempty"`
	TeamAt        uint64   `cbor:"20,keyasint,omitempty"`
	Watched       bool     `cbor:"21,keyasint,omitempty"`
	WatchedAt     uint64   `cbor:"22,keyasint,omitempty"`
}

func encodeRecord(r contacts.Record) []byte {
	s := storedRecord{
		Person: r.Person[:], Relation: uint8(r.Relation), Since: stamp(r.Since), Name: r.Name, Note: r.Note,
		Message: r.Message, Tries: uint64(r.Tries), NextTry: stamp(r.NextTry), DeclinedUntil: stamp(r.DeclinedUntil),
		QuietUntil: stamp(r.QuietUntil), Forgotten: r.Forgotten,
		Groups: r.Groups, GroupsAt: stamp(r.GroupsAt), Team: r.Team, TeamAt: stamp(r.TeamAt), Watched: r.Watched, WatchedAt: stamp(r.WatchedAt),
	}
	for _, f := range []struct {
		to   *[]byte
		from []byte
	}{{&s.Device, r.Device[:]}, {&s.Request, r.Request[:]}, {&s.Chat, r.Chat[:]}, {&s.Claimant, r.Claimant[:]}} {
		if string(f.from) != string(make([]byte, len(f.from))) {
			*f.to = f.from
		}
	}
	for i := range r.Namesakes {
		s.Namesakes = append(s.Namesakes, r.Namesakes[i][:])
	}
	return wire.Marshal(s)
}

func decodeRecord(b []byte) (contacts.Record, error) {
	var s storedRecord
	if err := wire.Unmarshal(b, &s); err != nil {
		return contacts.Record{}, err
	}
	if s.Relation > uint8(contacts.Blocked) {
		return contacts.Record{}, fmt.Errorf("relation %d", s.Relation)
	}
	r := contacts.Record{
		Relation: contacts.Relation(s.Relation), Since: moment(s.Since), Name: s.Name, Note: s.Note,
		Message: s.Message, Tries: int(s.Tries), NextTry: moment(s.NextTry), DeclinedUntil: moment(s.DeclinedUntil),
		QuietUntil: moment(s.QuietUntil), Forgotten: s.Forgotten, Namesakes: make([]chat.PersonID, len(s.Namesakes)),
		Sorting: contacts.Sorting{
			Groups: s.Groups, GroupsAt: moment(s.GroupsAt), Team: s.Team, TeamAt: moment(s.TeamAt), Watched: s.Watched, WatchedAt: moment(s.WatchedAt),
		},
	}
	if err := fill(r.Person[:], s.Person); err != nil {
		return contacts.Record{}, err
	}
	for _, f := range []struct{ to, from []byte }{{r.Device[:], s.Device}, {r.Request[:], s.Request}, {r.Chat[:], s.Chat}, {r.Claimant[:], s.Claimant}} {
		if len(f.from) == 0 {
			continue
		}
		if err := fill(f.to, f.from); err != nil {
			return contacts.Record{}, err
		}
	}
	for i := range s.Namesakes {
		if err := fill(r.Namesakes[i][:], s.Namesakes[i]); err != nil {
			return contacts.Record{}, err
		}
	}
	return r, nil
}

func fill(to, from []byte) error {
	if copy(to, from) != len(to) || len(from) != len(to) {
		return fmt.Errorf("%d bytes instead of %d", len(from), len(to))
	}
	return nil
}

func stamp(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(0, t.UnixMicro()))
}

func moment(micros uint64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(micros))
}

// storedPrivacy is the layout of the privacy settings. An audience is its contacts.AudienceKind,
// with the groups of one for groups beside it.
type storedPrivacy struct {
	Nearby         uint8             `cbor:"1,keyasint"`
	Presence       uint8             `cbor:"2,keyasint"`
	Read           uint8             `cbor:"3,keyasint"`
	Invisible      bool              `cbor:"4,keyasint"`
	Typing         *uint8            `cbor:"5,keyasint,omitempty"` // not there in what earlier versions have stored
	NearbyGroups   []string          `cbor:"6,keyasint,omitempty"`
	PresenceGroups []string          `cbor:"7,keyasint,omitempty"`
	ReadGroups     []string          `cbor:"8,keyasint,omitempty"`
	TypingGroups   []string          `cbor:"9,keyasint,omitempty"`
	Exceptions     []storedException `cbor:"10,keyasint,omitempty"`
}

// storedException is the layout of an exception. What it does not say stays.
type storedException struct {
	Person   []byte `cbor:"1,keyasint"`
	Presence *bool  `cbor:"2,keyasint,omitempty"`
	Typing   *bool  `cbor:"3,keyasint,omitempty"`
	Read     *bool  `cbor:"4,keyasint,omitempty"`
}

func encodePrivacy(p contacts.Privacy) []byte {
	typing := uint8(p.Typing.Kind)
	s := storedPrivacy{
		Nearby: uint8(p.Nearby.Kind), Presence: uint8(p.Presence.Kind), Read: uint8(p.Read.Kind), Invisible: p.Invisible, Typing: &typing,
		NearbyGroups: p.Nearby.Groups, PresenceGroups: p.Presence.Groups, ReadGroups: p.Read.Groups, TypingGroups: p.Typing.Groups,
	}
	for _, x := range p.Exceptions {
		s.Exceptions = append(s.Exceptions, storedException{Person: x.Person[:], Presence: x.Presence, Typing: x.Typing, Read: x.Read})
	}
	return wire.Marshal(s)
}

func decodePrivacy(b []byte) (contacts.Privacy, error) {
	var s storedPrivacy
	if err := wire.Unmarshal(b, &s); err != nil {
		return contacts.Privacy{}, err
	}
	if s.Typing == nil { // who kept all of their presence to themselves was not seen typing, either
		typing := min(s.Presence, uint8(contacts.ContactsOnly))
		s.Typing = &typing
	}
	p := contacts.Privacy{Invisible: s.Invisible}
	for _, f := range []struct {
		kind   uint8
		groups []string
		to     *contacts.Audience
	}{{s.Nearby, s.NearbyGroups, &p.Nearby}, {s.Presence, s.PresenceGroups, &p.Presence}, {s.Read, s.ReadGroups, &p.Read}, {*s.Typing, s.TypingGroups, &p.Typing}} {
		if f.kind > uint8(contacts.InGroups) {
			return contacts.Privacy{}, fmt.Errorf("audience %d", f.kind)
		}
		*f.to = contacts.Audience{Kind: contacts.AudienceKind(f.kind), Groups: f.groups}
	}
	for _, x := range s.Exceptions {
		out := chat.PrivacyException{Presence: x.Presence, Typing: x.Typing, Read: x.Read}
		if err := fill(out.Person[:], x.Person); err != nil {
			return contacts.Privacy{}, err
		}
		p.Exceptions = append(p.Exceptions, out)
	}
	return p, nil
}
