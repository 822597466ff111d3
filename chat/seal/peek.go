package seal

import (
	"earshot/chat"
	"earshot/chat/wire"
)

// Peeked is what a message says that has not been received yet.
type Peeked struct {
	ID        chat.EntryID
	Plaintext []byte
	View      [32]byte // as in Opened
}

// Peek opens messages before their turn, with what is known here and with key shares
// that have not been received either. It changes nothing: no key is spent, kept or
// acknowledged, and each message opens again when it is received. What does not open
// now is left out; of two messages with one number the first counts.
func (e *Engine) Peek(id chat.RoomID, shares, messages []wire.Entry) (out []Peeked) {
	r := e.rooms[id]
	if r == nil {
		return nil
	}
	p := peek{e: e, room: r, chains: map[epochID]*glimpse{}}
	for i := range messages {
		if text, view, ok := p.open(&messages[i], shares); ok {
			out = append(out, Peeked{ID: messages[i].ID, Plaintext: text, View: view})
		}
	}
	return out
}

// HasSlot reports whether a key share in a room hands its key to a device.
func HasSlot(room chat.RoomID, en *wire.Entry, to chat.DeviceID) bool {
	if en.Payload == nil {
		return false
	}
	s, err := decodeShare(room, en.Payload)
	if err != nil {
		return false
	}
	_, ok := s.slotFor(room, to)
	return ok
}

// peek is one call of Peek.
type peek struct {
	e      *Engine
	room   *room
	chains map[epochID]*glimpse
}

// glimpse is a chain as far as it was followed.
type glimpse struct {
	from   uint64 // the first point that is known
	first  secret
	n      uint64
	ck     secret // of n
	view   [32]byte
	opened map[uint64]bool
	// skipped are the keys before from that are kept.
	skipped map[uint64]secret
	none    bool
}

func (p *peek) open(en *wire.Entry, shares []wire.Entry) (text []byte, view [32]byte, ok bool) {
	if en.Epoch == 0 || en.Payload == nil {
		return nil, view, false
	}
	s, err := decodeSealed(en.Payload)
	if err != nil {
		return nil, view, false
	}
	at := epochID{p.room.id, en.Device, en.Epoch}
	c := p.chains[at]
	if c == nil {
		c = p.follow(en, shares)
		c.opened = map[uint64]bool{}
		p.chains[at] = c
	}
	if c.none || c.opened[s.N] {
		return nil, view, false
	}
	mk, ok := c.key(s.N)
	if !ok {
		return nil, view, false
	}
	text, err = openBox(mk, s.Box, sealedAD(p.room.id, en.Device, en.Epoch, s.N, en.Kind))
	if err != nil {
		return nil, view, false
	}
	c.opened[s.N] = true
	return text, c.view, true
}

// key returns the key of message n, at most MaxMessages steps away.
func (c *glimpse) key(n uint64) (secret, bool) {
	if n < c.from {
		mk, ok := c.skipped[n]
		return mk, ok
	}
	if n < c.n {
		c.n, c.ck = c.from, c.first
	}
	c.ck = advance(c.ck, n-c.n)
	c.n = n
	return messageKey(c.ck), true
}

// follow finds the chain of a message: held here, or in the shares.
func (p *peek) follow(en *wire.Entry, shares []wire.Entry) *glimpse {
	none := &glimpse{none: true}
	if en.Device == p.e.device {
		if own := p.room.own[en.Epoch]; own != nil {
			return &glimpse{first: own.start, ck: own.start, view: own.view}
		}
		return none
	}
	ep := p.room.epoch(en.Device, en.Epoch)
	switch {
	case ep != nil && ep.disputed:
		return none
	case ep != nil && ep.held:
		return &glimpse{from: ep.n, n: ep.n, first: ep.ck, ck: ep.ck, view: ep.view, skipped: ep.skipped}
	}
	for i := range shares {
		sh := &shares[i]
		if sh.Device != en.Device || sh.Epoch != en.Epoch || sh.Kind != wire.KindKeyShare || sh.Payload == nil {
			continue
		}
		if c := p.unwrap(sh, ep); c != nil {
			return c
		}
	}
	return none
}

// unwrap takes the chain from a share, under the rules of Engine.learn.
func (p *peek) unwrap(en *wire.Entry, ep *epoch) *glimpse {
	id := p.room.id
	s, err := decodeShare(id, en.Payload)
	if err != nil || ep != nil && ep.contradicts(id, &s) {
		return nil
	}
	sl, mine := s.slotFor(id, p.e.device)
	if !mine {
		return nil
	}
	root, _, err := p.e.rootOf(en.Device, sl)
	if err != nil {
		return nil
	}
	ck, err := unwrap(root.root, sl.Box, s.Commit, s.View, en.Device, p.e.device)
	if err != nil || commitment(id, en.Device, en.Epoch, s.N, ck) != s.Commit {
		return nil
	}
	return &glimpse{from: s.N, n: s.N, first: ck, ck: ck, view: s.View}
}
