package node

import (
	"bytes"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/courier"
	"earshot/chat/identity"
	"earshot/chat/wire"
	"earshot/node/store"
)

func TestWhatWaitsForOneCourierIsBounded(t *testing.T) {
	l := &courierLink{wake: make(chan struct{}, 1)}
	for range 3 * maxCourierJobs {
		if !l.add(courierJob{frame: wire.Announce{}}) {
			t.Fatal("a stream that has not ended takes nothing")
		}
	}
	if n := len(l.take(true)); n != maxCourierJobs {
		t.Errorf("%d jobs wait", n)
	}
	if !l.add(courierJob{}) {
		t.Error("a stream ends that has just been told of something")
	}
	l.take(false)
	if len(l.take(true)) != 0 || l.add(courierJob{}) {
		t.Error("what is added to a stream that ends is lost")
	}
}

func TestFramesBeforeTheHelloAreBounded(t *testing.T) {
	c := &core{couriers: &couriers{early: map[chat.DeviceID][]wire.Frame{}, met: map[chat.DeviceID]bool{}}}
	for i := range 3 * maxEarly {
		for range 3 * maxEarlyFrames {
			c.heardCourier(chat.DeviceID{byte(i)}, wire.Announce{})
		}
	}
	if n := len(c.couriers.early); n != maxEarly {
		t.Errorf("frames of %d devices wait", n)
	}
	for d, list := range c.couriers.early {
		if len(list) != maxEarlyFrames {
			t.Errorf("%d frames of %s wait", len(list), d.Short())
		}
	}
}

// endless is a file without end.
type endless struct {
	head, then []byte
	read       int
}

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		if e.read < len(e.head) {
			b[i] = e.head[e.read]
		} else {
			b[i] = e.then[(e.read-len(e.head))%len(e.then)]
		}
		e.read++
	}
	return len(b), nil
}

func TestAFileWithoutEndIsNotReadForEver(t *testing.T) {
	file := &endless{head: []byte(carryMagic), then: []byte{0, 0, 0, 1, 200}} // frames of the future
	frames := 0
	err := readCarried(file, func(wire.Frame) error { frames++; return nil })
	if chat.CodeOf(err) != chat.CodeInvalid || frames != maxCarried {
		t.Errorf("%d frames are read: %v", frames, err)
	}
}

// What the store is given of envelopes is what comes back.
func TestWhatIsKnownOfEnvelopesOutlivesARestart(t *testing.T) {
	at := moment(1_767_225_600_000_000)
	held := courier.Held{
		Tag: courier.Tag{1}, Salt: courier.Salt{2}, Lock: [32]byte{3}, Device: chat.DeviceID{4}, Person: chat.PersonID{5},
		Standing: courier.Contact, Size: 6, Since: at, Expires: at.Add(1e9),
	}
	if got, err := decodeHeld(heldChange(&held, nil).Meta); err != nil || got != held {
		t.Errorf("%+v became %+v: %v", held, got, err)
	}
	parcel := courier.Parcel{
		Key: courier.Key{Room: chat.RoomID{1}, Person: chat.PersonID{2}}, Salt: courier.Salt{3}, Tag: courier.Tag{4}, Size: 5, Made: at,
		Expires: at.Add(1e9), Ranges: []courier.Range{{Log: chat.LogID{6}, From: 7, To: 8}}, Messages: 9, Carried: at, By: courier.ID{10},
		Holders: []courier.Holder{{Device: chat.DeviceID{11}, Person: chat.PersonID{12}, Standing: courier.Member, Keeper: true, Since: at}},
		Proven:  at,
	}
	got, err := decodeParcel(courierSave(courier.Save{Parcel: &parcel}).Meta)
	if err != nil || len(got.Ranges) != 1 || got.Ranges[0] != parcel.Ranges[0] || len(got.Holders) != 1 || got.Holders[0] != parcel.Holders[0] {
		t.Errorf("%+v became %+v: %v", parcel, got, err)
	}
	if got.Key != parcel.Key || got.Salt != parcel.Salt || got.Tag != parcel.Tag || got.By != parcel.By || got.Messages != 9 || got.Proven != at || got.Carried != at {
		t.Errorf("%+v became %+v", parcel, got)
	}
	proof := courier.Proof{ID: courier.ID{1}, Device: chat.DeviceID{2}, Secret: [32]byte{3}, Reply: []byte("a reply"), Expires: at}
	d, a, err := decodeWord(courierSave(courier.Save{Proof: &proof}).Meta)
	if err != nil || d != proof.Device || a.Secret != proof.Secret || string(a.Reply) != "a reply" || a.Expires != at {
		t.Errorf("%+v became %+v of %s: %v", proof, a, d.Short(), err)
	}
	for want, ef := range map[store.CourierKind]courier.Drop{
		store.CourierHeld: {Held: courier.ID{1}}, store.CourierParcel: {Parcel: courier.ID{1}},
		store.CourierProof: {Proof: courier.ID{1}}, store.CourierArrival: {Arrival: courier.ID{1}},
	} {
		if c := courierDrop(ef); c.Kind != want || c.ID != (store.CourierID{1}) || c.Meta != nil {
			t.Errorf("kind %d: %+v", want, c)
		}
	}
}

// What a relay has left out of an entry is taken from an envelope that brings the entry
// again: nobody else may have it.
func TestAnEnvelopeBringsTheTextOfWhatIsHeldWithout(t *testing.T) {
	n := alone(t, t.TempDir())
	cert, err := identity.Sign(key(8), deviceOf(9), time.Now(), "")
	if err != nil {
		t.Fatal(err)
	}
	salt := make([]byte, wire.SaltSize)
	log := chat.NewLogID(deviceOf(9), salt)
	sign := func(seq uint64, before chat.EntryID, kind wire.Kind, payload []byte) wire.Entry {
		e, err := wire.Sign(key(9), wire.Header{
			Log: log, Ref: lobby.Ref(log), Seq: seq, Prev: before, HLC: chat.HLCOf(time.Now()) + chat.HLC(seq), Kind: kind,
		}, payload)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	open := sign(1, chat.EntryID{}, wire.KindOpen, wire.Marshal(wire.Open{Certificate: cert.Bytes(), Name: "Ben", Salt: salt}))
	hello := sign(2, open.ID, wire.KindMessage, wire.Marshal(wire.Message{Text: "hello"}))
	bring := func(payload []byte) {
		n.openOne(t.Context(), courier.Open{Room: lobby, Entries: []wire.RawEntry{
			{Head: open.Head, Sig: open.Sig[:], Payload: open.Payload}, {Head: hello.Head, Sig: hello.Sig[:], Payload: payload},
		}})
	}
	payload := func() []byte {
		t.Helper()
		for _, e := range entriesIn(t, n, lobby) {
			if e.ID == hello.ID {
				return e.Payload
			}
		}
		t.Fatal("the entry is not stored")
		return nil
	}
	bring(nil)
	if payload() != nil || !n.wanted.has(lobby) {
		t.Fatal("nothing is missing")
	}
	if n.taken.mayLack(lobby) {
		t.Error("it is weighed what is held of an open room, of which nobody is told")
	}
	// Who opens one session after the other does not have it given up.
	list, err := n.store.Wanted(t.Context(), lobby, chat.MaxWanted)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * chat.MaxWantedTries {
		n.asked(lobby, &session{wanted: map[chat.RoomID][]store.StoredEntry{lobby: list}})
	}
	settled := make(chan error)
	n.store.Asked(lobby, nil, func(err error) { settled <- err })
	if err := <-settled; err != nil || !n.wanted.seeks(time.Now(), lobby) {
		t.Errorf("it was given up (%v)", err)
	}
	bring(hello.Payload)
	if !bytes.Equal(payload(), hello.Payload) {
		t.Error("what the envelope says is thrown away")
	}
	if n.wanted.has(lobby) {
		t.Error("it is missing all the same")
	}
}
