package room

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

var (
	lobby = chat.OpenRoom(chat.Lobby)
	noon  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("earshot test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func deviceOf(name string) (d chat.DeviceID) {
	copy(d[:], keyOf(name).Public().(ed25519.PublicKey))
	return d
}

func personOf(name string) (p chat.PersonID) {
	sum := sha256.Sum256([]byte("person " + name))
	copy(p[:], sum[:])
	return p
}

// certificateOf is a stand-in for chat/identity's: person, then device.
func certificateOf(name string) []byte {
	p, d := personOf(name), deviceOf(name)
	return append(p[:], d[:]...)
}

func certifier(b []byte) (p chat.PersonID, d chat.DeviceID, err error) {
	if len(b) != len(p)+len(d) {
		return p, d, errors.New("not a certificate")
	}
	copy(p[:], b)
	copy(d[:], b[len(p):])
	return p, d, nil
}

// salts returns salts that differ and are the same in every run.
func salts(name string) func() [wire.SaltSize]byte {
	n := 0
	return func() [wire.SaltSize]byte {
		n++
		sum := sha256.Sum256([]byte{byte(n), byte(n >> 8)})
		inner := sha256.Sum256(append(sum[:], name...))
		return [wire.SaltSize]byte(inner[:wire.SaltSize])
	}
}

func configOf(name string) Config {
	return Config{
		Key: keyOf(name), Person: personOf(name), Certificate: certificateOf(name), Name: name,
		Certifier: certifier, NewSalt: salts(name),
	}
}

// member is an engine with what it has committed, refused and so on.
type member struct {
	*Engine
	t        testing.TB
	name     string
	stored   []Record
	refs     map[uint64]bool
	denied   []Deny
	refuse   []Refuse
	lacks    []Lack
	forks    []Fork
	rechecks []Recheck
	crowded  []Crowded
}

func join(t testing.TB, name string) *member {
	m := &member{Engine: New(configOf(name)), t: t, name: name, refs: map[uint64]bool{}}
	m.do(noon, Enter{Room: lobby})
	return m
}

// do handles an input and returns what was committed by it.
func (m *member) do(now time.Time, in Input) []Record {
	m.t.Helper()
	var out []Record
	for _, ef := range m.Handle(now, in) {
		switch ef := ef.(type) {
		case Commit:
			if len(ef.Records) == 0 {
				m.t.Fatal("a commit of nothing")
			}
			out = append(out, ef.Records...)
			m.refs[ef.Ref] = true
		case Deny:
			m.denied = append(m.denied, ef)
		case Refuse:
			m.refuse = append(m.refuse, ef)
		case Lack:
			m.lacks = append(m.lacks, ef)
		case Fork:
			m.forks = append(m.forks, ef)
		case Show:
			m.noted(now, ef)
		case Recheck:
			m.rechecks = append(m.rechecks, ef)
		case Crowded:
			m.crowded = append(m.crowded, ef)
		case Parted:
			for i := range m.stored {
				if e := &m.stored[i].Entry; e.Log == ef.Log && e.Seq > ef.Seq {
					e.Log = ef.Branch
				}
			}
		}
	}
	m.stored = append(m.stored, out...)
	return out
}

// says posts text and returns the entries that go out.
func (m *member) says(now time.Time, text string) []wire.Entry {
	m.t.Helper()
	records := m.do(now, Post{Room: lobby, Text: text, Ref: 1})
	if len(records) == 0 {
		m.t.Fatalf("%s could not say %q: %v", m.name, text, m.denied)
	}
	return entries(records)
}

func entries(records []Record) []wire.Entry {
	var out []wire.Entry
	for _, r := range records {
		out = append(out, r.Entry)
	}
	return out
}

// hears hands over entries as the live path does, from an innocent relay.
func (m *member) hears(now time.Time, list ...wire.Entry) []Record {
	m.t.Helper()
	var out []Record
	for _, e := range list {
		out = append(out, m.do(now, Receive{Room: lobby, Entry: e, From: deviceOf("relay")})...)
	}
	return out
}

// fetches hands over entries as a sync session does.
func (m *member) fetches(now time.Time, list ...wire.Entry) []Record {
	m.t.Helper()
	var out []Record
	for _, e := range list {
		out = append(out, m.do(now, Receive{Room: lobby, Entry: e, From: deviceOf("relay"), Solicited: true})...)
	}
	return out
}

// texts returns the messages stored, in the order they are shown.
func (m *member) texts() []string { return texts(m.stored) }

func texts(records []Record) []string {
	var out []string
	for _, r := range shown(records) {
		if r.Said.Text != "" {
			out = append(out, r.Said.Text)
		}
	}
	return out
}

// frontier returns what of a room would be restored from a store.
func frontier(records []Record) []Log {
	last := map[chat.LogID]Log{}
	for _, r := range records {
		branch := last[r.Entry.Log].Branch
		if of := logOf(&r.Entry); branch == nil && of != r.Entry.Log {
			branch = &Branch{Of: of, After: r.Entry.Seq - 1, Prev: r.Entry.Prev}
		}
		last[r.Entry.Log] = Log{
			Log: r.Entry.Log, Device: r.Entry.Device, Person: r.Person, Seq: r.Entry.Seq, LastID: r.Entry.ID, HLC: r.Entry.HLC, Sort: r.Sort, Branch: branch,
		}
	}
	var out []Log
	for _, id := range sorted(last) {
		out = append(out, last[id])
	}
	return out
}

// logOf returns the log that an entry's header names.
func logOf(e *wire.Entry) chat.LogID {
	signed, err := wire.DecodeEntry(e.Head, e.Sig[:], nil)
	if err != nil {
		panic(err)
	}
	return signed.Log
}

// forge signs an entry with any header, as a stranger with a key can.
func forge(t testing.TB, name string, h wire.Header, payload any) wire.Entry {
	t.Helper()
	e, err := wire.Sign(keyOf(name), h, wire.Marshal(payload))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// opening returns a first entry of a log of name's, and its header.
func opening(t testing.TB, name string, at chat.HLC) (wire.Entry, wire.Header) {
	t.Helper()
	salt := salts(name + " forged")()
	log := chat.NewLogID(deviceOf(name), salt[:])
	h := wire.Header{Log: log, Ref: lobby.Ref(log), Seq: 1, HLC: at, Kind: wire.KindOpen}
	return forge(t, name, h, wire.Open{Certificate: certificateOf(name), Name: name, Salt: salt[:]}), h
}

// after returns the header of the entry that follows e.
func after(e wire.Entry, kind wire.Kind) wire.Header {
	return wire.Header{Log: e.Log, Ref: e.Ref, Seq: e.Seq + 1, Prev: e.ID, HLC: e.HLC + 1, Kind: kind}
}
