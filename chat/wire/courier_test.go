package wire

import (
	"reflect"
	"testing"

	"earshot/chat"
)

func courierFrames() map[string]Frame {
	id, tag, salt := fill(EnvelopeIDSize, 0xe1), fill(EnvelopeTagSize, 0xe2), fill(EnvelopeSaltSize, 0xe3)
	return map[string]Frame{
		"announce":      Announce{Keeper: true, Tags: fill(2*EnvelopeTagSize, 0xe2), Anew: true, More: true, Full: true},
		"announce-none": Announce{},
		"seek":          Seek{Tags: tag},
		"found":         Found{Envelopes: []FoundEnvelope{{ID: id, Tag: tag, Salt: salt}}, More: true},
		"found-none":    Found{Envelopes: []FoundEnvelope{}},
		"take":          Take{Envelopes: []TakeEnvelope{{ID: id, Proof: fill(EnvelopeProof, 0xe4)}}},
		"hand-over": HandOver{
			ID: id, Tag: tag, Salt: salt, Lock: fill(32, 0xe5), Made: 1_767_225_600, Expires: 1_767_830_400, Box: []byte("a box"),
			By: fill(32, 0xe6),
		},
		"hand-over-gone":  HandOver{ID: id},
		"deposit":         Deposit{Envelope: []byte("an envelope"), Dropped: fill(2*EnvelopeIDSize, 0xe1)},
		"deposit-dropped": Deposit{Dropped: id},
		"answer":          Answer{ID: id, Says: AnswerKept},
		"taken":           Taken{ID: id, Secret: fill(32, 0xe7), Reply: []byte("a reply")},
		"taken-silently":  Taken{ID: id, Secret: fill(32, 0xe7)},
	}
}

func TestFramesOfCouriersDoNotChange(t *testing.T) {
	for name, f := range courierFrames() {
		golden(t, "frame-"+name, EncodeFrame(f))
		got, err := DecodeFrame(readGolden(t, "frame-"+name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(got, f) {
			t.Errorf("%s: got %#v, want %#v", name, got, f)
		}
	}
}

func TestFramesOfCouriersThatBreakTheRulesAreRefused(t *testing.T) {
	id, tag, salt, proof := fill(EnvelopeIDSize, 1), fill(EnvelopeTagSize, 2), fill(EnvelopeSaltSize, 3), fill(EnvelopeProof, 4)
	over := func(change func(*HandOver)) HandOver {
		f := HandOver{ID: id, Tag: tag, Salt: salt, Lock: proof, Made: 1, Expires: 2, Box: []byte("a box"), By: proof}
		change(&f)
		return f
	}
	refuse(t, map[string]Frame{
		"half a tag":                     Announce{Tags: fill(EnvelopeTagSize+1, 1)},
		"too many tags":                  Announce{Tags: fill((MaxAnnounced+1)*EnvelopeTagSize, 1)},
		"nothing sought":                 Seek{Tags: []byte{}},
		"too much sought":                Seek{Tags: fill((MaxSought+1)*EnvelopeTagSize, 1)},
		"a line without id":              Found{Envelopes: []FoundEnvelope{{ID: []byte{}, Tag: tag, Salt: salt}}},
		"a line with a long tag":         Found{Envelopes: []FoundEnvelope{{ID: id, Tag: fill(9, 1), Salt: salt}}},
		"a line with a short salt":       Found{Envelopes: []FoundEnvelope{{ID: id, Tag: tag, Salt: salt[1:]}}},
		"too many lines":                 Found{Envelopes: repeat(MaxFound+1, FoundEnvelope{ID: id, Tag: tag, Salt: salt})},
		"nothing taken":                  Take{Envelopes: []TakeEnvelope{}},
		"too much taken":                 Take{Envelopes: repeat(MaxTakes+1, TakeEnvelope{ID: id, Proof: proof})},
		"a question without proof":       Take{Envelopes: []TakeEnvelope{{ID: id, Proof: []byte{}}}},
		"an envelope without id":         over(func(f *HandOver) { f.ID = []byte{} }),
		"an envelope with a short lock":  over(func(f *HandOver) { f.Lock = f.Lock[1:] }),
		"an envelope of nobody":          over(func(f *HandOver) { f.By = nil }),
		"an envelope without salt":       over(func(f *HandOver) { f.Salt = nil }),
		"an envelope that ended before":  over(func(f *HandOver) { f.Expires = 0 }),
		"an envelope without end":        over(func(f *HandOver) { f.Expires = 1 << 60 }),
		"a deposit of an empty envelope": Deposit{Envelope: []byte{}, Dropped: fill(EnvelopeIDSize+1, 1)},
		"a deposit of a large envelope":  Deposit{Envelope: fill(MaxEnvelope+1, 1)},
		"a deposit that drops too many":  Deposit{Dropped: fill((MaxDropped+1)*EnvelopeIDSize, 1)},
		"an answer about nothing":        Answer{ID: []byte{}, Says: AnswerKept},
		"an arrival of nothing":          Taken{ID: []byte{}, Secret: proof},
		"an arrival without secret":      Taken{ID: id, Secret: proof[1:]},
		"an arrival with a long reply":   Taken{ID: id, Secret: proof, Reply: fill(MaxReply+1, 1)},
	})
}

func TestTheContentOfAnEnvelopeIsBounded(t *testing.T) {
	entry := RawEntry{Head: []byte("head"), Sig: []byte("sig"), Payload: []byte("payload")}
	for n, want := range map[int]bool{0: false, 1: true, MaxPacketEntries: true, MaxPacketEntries + 1: false} {
		_, err := DecodePacket(Marshal(Packet{Entries: repeat(n, entry)}))
		if (err == nil) != want {
			t.Errorf("%d entries: %v", n, err)
		}
		if err != nil && chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%d entries: an error that is not %q: %v", n, chat.CodeInvalid, err)
		}
	}
	if _, err := DecodePacket(make([]byte, MaxEnvelope+1)); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("a large one: %v", err)
	}
}

// The largest of each fits a frame.
func TestTheLargestFramesOfCouriersFit(t *testing.T) {
	id, tag, salt, proof := fill(EnvelopeIDSize, 1), fill(EnvelopeTagSize, 2), fill(EnvelopeSaltSize, 3), fill(EnvelopeProof, 4)
	for _, f := range []Frame{
		Announce{Keeper: true, Tags: fill(MaxAnnounced*EnvelopeTagSize, 1), Anew: true, More: true, Full: true},
		Seek{Tags: fill(MaxSought*EnvelopeTagSize, 1)},
		Found{Envelopes: repeat(MaxFound, FoundEnvelope{ID: id, Tag: tag, Salt: salt}), More: true},
		Take{Envelopes: repeat(MaxTakes, TakeEnvelope{ID: id, Proof: proof})},
		HandOver{ID: id, Tag: tag, Salt: salt, Lock: proof, Made: maxNamedAt, Expires: maxNamedAt, Box: fill(MaxEnvelope, 1), By: proof},
		Deposit{Envelope: fill(MaxEnvelope, 1), Dropped: fill(MaxDropped*EnvelopeIDSize, 1)},
		Taken{ID: id, Secret: proof, Reply: fill(MaxReply, 1)},
	} {
		if b := EncodeFrame(f); len(b) > chat.MaxFrame {
			t.Errorf("%T takes %d bytes", f, len(b))
		} else if _, err := DecodeFrame(b); err != nil {
			t.Errorf("%T: %v", f, err)
		}
	}
}
