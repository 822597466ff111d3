package seal

import (
	"fmt"
	"testing"
	"time"

	"earshot/chat/wire"
)

// A room full of members who speak without giving their keys leaves so many messages
// and bytes waiting, and so many epochs asked for.
func TestWhatWaitsForKeysOfManyAuthorsIsBounded(t *testing.T) {
	for name, x := range map[string]struct {
		authors, epochs, each, size int // epochs of each author, messages of each epoch
		want                        func(payload int) (messages, epochs int)
	}{
		"messages": {maxWaiting/maxWaitingOf + 1, 1, maxWaitingOf, 1, func(int) (int, int) { return maxWaiting, maxWaiting / maxWaitingOf }},
		"bytes":    {3, 1, maxWaitingOf, 8 << 10, func(payload int) (int, int) { return maxWaitingBytes / payload, 2 }},
		"epochs":   {maxWanted/maxWantedOf + 1, maxWantedOf, 1, 1, func(int) (int, int) { return maxWanted, maxWanted }},
	} {
		t.Run(name, func(t *testing.T) {
			_, bob, carol := trio(t)
			payload := message(carol, 1, 0, secret{}, string(make([]byte, x.size)))
			for i := range x.authors {
				author := newMember(t, fmt.Sprint("author ", i))
				for epoch := range x.epochs {
					for range x.each {
						bob.hear(office, author.sign(office, wire.KindMessage, uint64(epoch)+1, payload))
					}
				}
			}
			w := &bob.waiting
			messages, epochs := x.want(len(payload))
			if w.count != messages || w.bytes != messages*len(payload) || w.bytes > maxWaitingBytes || len(w.wanted) < epochs || len(w.wanted) > maxWanted {
				t.Errorf("%d messages of %d bytes wait for %d epochs, want %d", w.count, w.bytes, len(w.wanted), messages)
			}
			// What can be opened is opened all the same.
			bob.hear(office, carol.say(office, "hello")...)
			bob.wantRead("hello")
		})
	}
}

// An author who wraps every epoch anew makes a device hold so many roots, the newest.
func TestThePairRootsOfOneDeviceAreBounded(t *testing.T) {
	alice, bob, _ := trio(t)
	for i := range uint64(3 * maxPairs) {
		bob.now = bob.now.Add(time.Second)
		bob.hear(office, alice.forge(100+i, secret{byte(i)}, bob)...)
		if want := min(int(i)+1, maxPairs); len(bob.from[alice.device]) != want {
			t.Fatalf("after %d epochs %d roots are held", i+1, len(bob.from[alice.device]))
		}
	}
	bob.wantPersisted()
	last := uint64(3*maxPairs - 1)
	bob.hear(office, alice.sign(office, wire.KindMessage, 100+last, message(alice, 100+last, 0, secret{byte(last)}, "still read")))
	bob.wantRead("still read")
}

// An author who commits to point after point of one chain has so many remembered.
func TestTheCommitmentsOfOneEpochAreBounded(t *testing.T) {
	alice, bob, carol := trio(t)
	ck, epoch := secret{7}, uint64(100)
	for n := range uint64(3 * maxPoints) {
		s := share{N: n, Commit: commitment(office, alice.device, epoch, n, advance(ck, n))}
		bob.hear(office, alice.sign(office, wire.KindKeyShare, epoch, encodeShare(office, s)[0]))
	}
	ep := bob.rooms[office].epoch(alice.device, epoch)
	if ep == nil || len(ep.points) != maxPoints {
		t.Fatalf("remembered of the epoch: %+v", ep)
	}
	bob.wantPersisted()
	bob.hear(office, carol.say(office, "hello")...)
	bob.wantRead("hello")
}

// However often this device begins a new epoch, it remembers so many, the newest.
func TestTheEpochsOfThisDeviceAreBounded(t *testing.T) {
	alice, bob, _ := trio(t)
	var sent []wire.Entry
	for range maxOwnEpochs + 3 {
		alice.now = alice.now.Add(time.Minute)
		alice.do(Rotate{Room: office})
		sent = alice.say(office, "x")
	}
	r := alice.rooms[office]
	if len(r.own) != maxOwnEpochs {
		t.Errorf("%d epochs are remembered", len(r.own))
	}
	alice.wantPersisted()
	if got := alice.hear(office, requestOf(bob, sent[0].Epoch)); len(got) != 1 {
		t.Error("the newest is not answered for")
	}
}
