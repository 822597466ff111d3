package catchup

import (
	"earshot/chat"
	"earshot/chat/wire"
)

// This file is how payloads are asked for that entries came without
// (PROTOCOL.md#earshotsync1): before a room's frontier, so that whoever is asked answers
// before it is done.

// maxWishes bounds the rooms of a session for which payloads are asked: each is a page
// that is read and sent (guess: the rest come with the next).
const maxWishes = 4

// Asked says: payloads that Room wants were asked for.
type Asked struct {
	Room chat.RoomID
}

// Supply says: read these entries of Room and send the payloads that are held, in
// wire.Payloads under Tag, before anything else.
type Supply struct {
	Room   chat.RoomID
	Tag    []byte
	Places []wire.LogSeq
}

// Fill says: these payloads came that Room wants, each of an entry that was asked for;
// verify and keep them.
type Fill struct {
	Room     chat.RoomID
	Payloads []wire.Payload
}

func (Asked) isSessionEffect()  {}
func (Supply) isSessionEffect() {}
func (Fill) isSessionEffect()   {}

type place struct {
	log chat.LogID
	seq uint64
}

// wants asks for the payloads that a room wants.
func (s *Session) wants(r *sessionRoom, tag chat.RoomTag, effects []SessionEffect) []SessionEffect {
	list := r.state.Wanted[:min(len(r.state.Wanted), chat.MaxWanted)]
	if len(list) == 0 || s.wishes == maxWishes {
		return effects
	}
	s.wishes++
	r.wanted = make(map[place]bool, len(list))
	for _, l := range list {
		r.wanted[place{chat.LogID(l.Log), l.Seq}] = true
	}
	return append(effects, Send{wire.WantPayloads{Tag: tag[:], Places: list}}, Asked{Room: r.state.Room})
}

// supply answers for payloads that the other side wants.
func (s *Session) supply(f wire.WantPayloads) ([]SessionEffect, error) {
	r := s.rooms[chat.RoomTag(f.Tag)]
	if r == nil || !r.differs || r.complete || r.last != nil || r.supplied || s.supplied == maxWishes {
		return nil, broken("a wish for payloads out of place")
	}
	r.supplied = true
	s.supplied++
	return []SessionEffect{Supply{Room: r.state.Room, Tag: f.Tag, Places: f.Places}}, nil
}

// fill takes payloads that were asked for, each once.
func (s *Session) fill(f wire.Payloads) ([]SessionEffect, error) {
	r := s.rooms[chat.RoomTag(f.Tag)]
	if r == nil || s.gotDone {
		return nil, broken("payloads that were not asked for")
	}
	for _, p := range f.Payloads {
		at := place{chat.LogID(p.Log), p.Seq}
		if !r.wanted[at] {
			return nil, broken("payloads that were not asked for")
		}
		delete(r.wanted, at)
	}
	return []SessionEffect{Fill{Room: r.state.Room, Payloads: f.Payloads}}, nil
}

// PayloadFrames returns the frames that carry the payloads of entries, as Supply asks.
func PayloadFrames(tag []byte, entries []wire.Entry) (out []wire.Frame) {
	for len(entries) > 0 {
		f, size := wire.Payloads{Tag: tag}, 0
		for len(entries) > 0 && len(f.Payloads) < chat.MaxWanted {
			e := &entries[0]
			size += len(e.Payload) + 48
			if len(f.Payloads) > 0 && size > chat.MaxFrame-256 {
				break
			}
			f.Payloads = append(f.Payloads, wire.Payload{Log: e.Log[:], Seq: e.Seq, Bytes: e.Payload})
			entries = entries[1:]
		}
		out = append(out, f)
	}
	return out
}
