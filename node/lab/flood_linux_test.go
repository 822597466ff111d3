package lab_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"earshot/chat"
	"earshot/chat/contacts"
	"earshot/chat/identity"
	"earshot/chat/wire"
	"earshot/node/host"
	"earshot/node/lab"
)

// flood is a program that asks a person to be a contact, under so many identities and
// so many times under each. It is a bare host, which keeps to no rule but the layout
// of what it sends. args: the victim's address, device and person, then the numbers.
func flood(args []string) error {
	victim, err := chat.ParseDeviceID(args[1])
	if err != nil {
		return err
	}
	person, err := chat.ParsePersonID(args[2])
	if err != nil {
		return err
	}
	identities, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	each, err := strconv.Atoi(args[4])
	if err != nil {
		return err
	}
	addr, err := ma.NewMultiaddr(args[0])
	if err != nil {
		return err
	}
	const workers = 6 // a node takes eight connections of one address
	var wait sync.WaitGroup
	var mu sync.Mutex
	sent := 0
	var failed error
	for w := range workers {
		wait.Go(func() {
			for i := w; i < identities; i += workers {
				err := pester(victim, person, addr, each)
				mu.Lock()
				if err != nil {
					failed = err
				} else {
					sent += each
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	fmt.Println("sent", sent, failed)
	return nil
}

// pester is one identity's part of it.
func pester(victim chat.DeviceID, person chat.PersonID, addr ma.Multiaddr, requests int) error {
	_, root, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	cert, err := identity.Sign(root, chat.DeviceID(key.Public().(ed25519.PublicKey)), time.Now(), "")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	h, err := host.New(host.Config{Key: key, Port: 0})
	if err != nil {
		return err
	}
	defer h.Close(ctx)
	// Whoever is turned away tries again.
	for err := h.Dial(ctx, victim, []ma.Multiaddr{addr}); err != nil; err = h.Dial(ctx, victim, []ma.Multiaddr{addr}) {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
	s, err := h.Libp2p().NewStream(ctx, host.PeerID(victim), "/earshot/peer/1")
	if err != nil {
		return err
	}
	frame := func(f wire.Frame) []byte {
		b := wire.EncodeFrame(f)
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
	}
	out := frame(wire.Hello{Certificate: cert.Bytes(), Name: "Pest", Now: uint64(chat.HLCOf(time.Now())), Agent: "pest 1"})
	asking := contacts.New(contacts.Config{Key: key, Certificate: cert, Name: "Pest", NewNonce: func() (n [contacts.NonceSize]byte) {
		_, _ = rand.Read(n[:])
		return n
	}})
	now := time.Now()
	asking.Handle(now, contacts.Met{Person: person, Device: victim, Name: "victim"})
	for range requests {
		for _, ef := range asking.Handle(now, contacts.Add{Person: person, Note: "let me in"}) {
			if send, ok := ef.(contacts.Send); ok {
				out = append(out, frame(wire.Contact{Message: send.Message})...)
			}
		}
		asking.Handle(now, contacts.Forget{Person: person})
	}
	if _, err := s.Write(out); err != nil {
		return err
	}
	// The other side has read it all when it has ended its half, or has had enough.
	if err := s.CloseWrite(); err != nil {
		return err
	}
	_ = s.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.Copy(io.Discard, s)
	return nil
}

// A stranger asks 10,000 times under 100 names. The person sees 20 of them, and talks
// with others all the while.
func TestAFloodOfContactRequestsCostsAPersonLittle(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.station("ann", lab.Dual), w.station("bob", lab.Dual)
	meet(5*time.Second, ann, bob)
	befriend(ann, bob)
	id := ann.direct(bob)
	ann.says(id, "before")
	bob.comesToRead(id, "before", 10*time.Second)

	const identities, each = 100, 100
	memoryBefore, err := bob.daemon.Resident()
	if err != nil {
		t.Fatal(err)
	}
	cpuBefore, err := bob.daemon.CPU()
	if err != nil {
		t.Fatal(err)
	}
	mallory := w.bare("mallory")
	w.attach(mallory, w.lan, "eth0", lab.Dual)
	addr := ""
	for _, a := range bob.nic.Addrs() {
		if a.Is4() {
			addr = fmt.Sprintf("/ip4/%s/tcp/%d", a, bob.port)
		}
	}
	pest, err := mallory.Start(t.Context(), program("flood", addr, bob.device, bob.person, strconv.Itoa(identities), strconv.Itoa(each)))
	if err != nil {
		t.Fatal(err)
	}
	talk := 0
	for ended := false; !ended; talk++ {
		select {
		case <-pest.Done():
			ended = true
		default:
		}
		text := fmt.Sprint("meanwhile ", talk)
		ann.says(id, text)
		bob.comesToRead(id, text, 10*time.Second)
	}
	line, err := pest.Await(t.Context(), func(s string) bool { return strings.HasPrefix(s, "sent ") })
	if err != nil {
		t.Fatal(err)
	}
	memoryAfter, err := bob.daemon.Resident()
	if err != nil {
		t.Fatal(err)
	}
	cpuAfter, err := bob.daemon.CPU()
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Contacts []struct{ Person, Relation string }
	}
	bob.api(http.MethodGet, "/contacts", nil, &all)
	asking := 0
	for _, c := range all.Contacts {
		if c.Relation == "asking" {
			asking++
		}
	}
	t.Logf("the flood: %s; in the tray: %d; bob's node: %v of processor time, %d MiB before and %d MiB after; said meanwhile: %d",
		line.Text, asking, cpuAfter-cpuBefore, memoryBefore>>20, memoryAfter>>20, talk)
	if line.Text != fmt.Sprintf("sent %d <nil>", identities*each) {
		t.Errorf("not everything was sent: %s", line.Text)
	}
	if asking != contacts.MaxTray {
		t.Errorf("%d requests are shown, not %d", asking, contacts.MaxTray)
	}
	// Far above what it takes, far below what it would take to look at every request.
	if grew := memoryAfter - memoryBefore; grew > 64<<20 {
		t.Errorf("the node grew by %d MiB", grew>>20)
	}
	if took := cpuAfter - cpuBefore; took > 12*time.Second {
		t.Errorf("the node took %v of processor time", took)
	}
}
