package sim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"earshot/chat"
	proto "earshot/chat/wire"
)

// What somebody may do who wants to know more than they may, or tells too much.

// recorder keeps every byte that Ann says to a stranger.
type recorder struct {
	x   *stranger
	raw network.Stream
	all bytes.Buffer // since told last returned
}

// told returns the next profile that Ann shows the stranger.
func (r *recorder) told() proto.ShownProfile {
	r.x.t.Helper()
	r.all.Reset()
	_ = r.raw.SetReadDeadline(time.Now().Add(patience))
	for {
		var head [4]byte
		if _, err := io.ReadFull(r.raw, head[:]); err != nil {
			r.x.t.Fatalf("Ann shows nothing more: %v", err)
		}
		body := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(r.raw, body); err != nil {
			r.x.t.Fatal(err)
		}
		r.all.Write(body)
		f, err := proto.DecodeFrame(body)
		if err != nil {
			r.x.t.Fatal(err)
		}
		if shown, is := f.(proto.ShownProfile); is {
			return shown
		}
	}
}

// A stranger who becomes a contact, comes into a group and out of it, and is forgotten
// keeps what Ann's node says, byte for byte.
func TestAPartOfAProfileMustNotReachWhoMayNotSeeIt(t *testing.T) {
	s := besiege(t)
	s.ann.must(setProfile(s.ann, annsProfile))
	x := s.stranger(nil)
	r := &recorder{x: x, raw: x.open(peerProtocol)}
	if _, err := r.raw.Write(frames(x.hello())); err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{"department": "Research", "email": "Example.org", "location": "4.07", "phone": "1234567"}
	hears := func(when string, may ...string) {
		t.Helper()
		shown := r.told()
		if shown.Title != "Engineer" {
			t.Errorf("%s the stranger is shown %+v", when, shown)
		}
		for part, secret := range secrets {
			want := strings.Contains(strings.Join(may, " "), part)
			if got := bytes.Contains(r.all.Bytes(), []byte(secret)); got != want {
				t.Errorf("%s the stranger gets the %s: %v", when, part, got)
			}
		}
	}
	hears("at first")
	if _, err := r.raw.Write(frames(proto.Contact{Message: x.request("Mallory", "Hello")})); err != nil {
		t.Fatal(err)
	}
	s.until("the request is there", func() bool { return len(s.ann.tray()) == 1 })
	s.ann.must(s.ann.AcceptContact(s.ann.ctx, x.person()))
	hears("as a contact", "department", "email")
	groups := func(groups ...string) {
		t.Helper()
		_, err := s.ann.SetGroups(s.ann.ctx, x.person(), groups)
		s.ann.must(err)
	}
	groups("BOARD")
	hears("in the group", "department", "email", "phone")
	groups("others")
	hears("in another group", "department", "email")
	s.ann.must(s.ann.ForgetContact(s.ann.ctx, x.person()))
	hears("forgotten")
	// Who hides says nothing more, not even that.
	p := visible(chat.Everyone)
	p.Invisible = true
	s.ann.must(s.ann.SetPrivacy(s.ann.ctx, p))
	_ = r.raw.SetReadDeadline(time.Now().Add(patience))
	for _, f := range readFrames(r.raw) {
		if shown, is := f.(proto.ShownProfile); is {
			t.Errorf("while hiding, Ann shows %+v", shown)
		}
	}
	x.until("Ann has hung up", func() bool { return !x.connected() })
	p.Invisible = false
	s.ann.must(s.ann.SetPrivacy(s.ann.ctx, p))
	x.vanish()
	s.ann.sees("Ben", chat.Here)
	s.ben.sees("Ann", chat.Here)
	s.withstood()
}

func setProfile(d *desk, p chat.OwnProfile) error {
	_, err := d.SetProfile(d.ctx, p)
	return err
}

// Whoever changes what they tell over and over is heard now and then.
func TestAFloodOfProfilesMustNotReachFaces(t *testing.T) {
	s := besiege(t)
	x := s.stranger(nil)
	out := [][]byte{frames(x.hello())}
	const flood = 250
	for i := range flood {
		out = append(out, frames(proto.ShownProfile{Version: uint64(i + 1), Title: fmt.Sprint("Chief ", i), Email: "ann@example.org"}))
	}
	out = append(out, frames(proto.Contact{Message: x.request("Mallory", "behind all of it")}))
	x.openAndSend(peerProtocol, out...)
	seen := 0
	s.ann.await("the request behind it", func(e chat.Event) bool {
		if p, is := e.(chat.PersonEvent); is && p.Person.Person == x.person() && p.Person.Profile != nil {
			seen++
		}
		tray, is := e.(chat.TrayEvent)
		return is && len(tray.Requests) == 1
	})
	if seen == 0 || seen > flood/4 {
		t.Errorf("faces were told %d times of %d", seen, flood)
	}
	if _, err := s.ann.FindEmail(s.ann.ctx, "ann@example.org"); chat.CodeOf(err) != chat.CodeNotFound {
		t.Errorf("a stranger's address is found: %v", err)
	}
	x.vanish()
	s.withstood()
}
