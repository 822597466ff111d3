package identity

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"maps"
	"slices"
	"time"

	"earshot/chat"
)

// Standing is what a person's device lists say of one device.
type Standing uint8

const (
	Unlisted Standing = iota // never heard of, or its list has not come
	InUse
	Revoked // for ever
)

// News says what taking a list has changed. A DeviceList is stored anew, and
// recipients are computed anew, if any field is set.
type News struct {
	Newer   bool            // the list is now the one that counts
	Added   []chat.DeviceID // in use now and not before, ascending
	Revoked []chat.DeviceID // revoked now and not before, ascending
	// Alarm says, in words for a person, that this list and others contradict each
	// other: the root key has been copied, or an old backup of it is in use. It
	// stands until Settle.
	Alarm error
}

// maxUnion bounds the revocations remembered beyond those of one list: past it
// only an attacker with the root key can have come, and no device is trusted.
const maxUnion = 4 * MaxRevoked

// Registry is what is known of one person's devices: the highest list seen, and
// every revocation ever seen, also in lists that lost. Both are the same in
// whatever order the lists came; an alarm needs two that touch each other.
type Registry struct {
	root    [ed25519.PublicKeySize]byte
	list    DeviceList
	revoked map[chat.DeviceID]struct{}
	alarmed bool
	losers  []ListHash // lists that have raised the alarm, at most maxLosers
}

// maxLosers bounds the lists that are known to contradict: a further one raises
// the alarm each time it is seen (guess).
const maxLosers = 8

// NewRegistry returns the registry of a person of whom no list is known.
func NewRegistry(root [ed25519.PublicKeySize]byte) *Registry {
	return &Registry{root: root, revoked: map[chat.DeviceID]struct{}{}}
}

// Clone returns a registry that knows the same and goes its own way.
func (r *Registry) Clone() *Registry {
	c := *r
	c.revoked, c.losers = maps.Clone(r.revoked), slices.Clone(r.losers)
	return &c
}

// List returns the list that counts, the zero DeviceList before the first.
func (r *Registry) List() DeviceList { return r.list }

// Alarmed reports whether lists of this person have contradicted each other since
// Settle.
func (r *Registry) Alarmed() bool { return r.alarmed }

// Settle ends the alarm: the person has been asked, or verified anew.
func (r *Registry) Settle() { r.alarmed = false }

// Standing returns what is known of a device.
func (r *Registry) Standing(device chat.DeviceID) Standing {
	if _, gone := r.revoked[device]; gone || len(r.revoked) > maxUnion {
		return Revoked
	}
	if slices.ContainsFunc(r.list.Devices, func(d ListedDevice) bool { return d.Device == device }) {
		return InUse
	}
	return Unlisted
}

// InUse returns the devices that keys may be wrapped to, ascending: those of the
// list that counts, without any that was ever revoked.
func (r *Registry) InUse() []ListedDevice {
	var out []ListedDevice
	for _, d := range r.list.Devices {
		if r.Standing(d.Device) == InUse {
			out = append(out, d)
		}
	}
	return out
}

// Revoked returns every device that was ever revoked, ascending.
func (r *Registry) Revoked() []chat.DeviceID {
	return slices.SortedFunc(maps.Keys(r.revoked), func(a, b chat.DeviceID) int { return bytes.Compare(a[:], b[:]) })
}

// Take learns a list, from whomever it came. A list that does not verify or is
// another person's is refused with chat.CodeInvalid and changes nothing. An older
// one is no error: relays are honestly late; but what it revokes stays revoked.
func (r *Registry) Take(l DeviceList) (News, error) {
	if l.Root != r.root {
		return News{}, invalid("a device list of another person")
	}
	if err := l.Verify(); err != nil {
		return News{}, err
	}
	var news News
	before := r.InUse()
	contradicts := false
	switch held := r.list; {
	case held.raw == nil:
		news.Newer = true
	case l.Seq == held.Seq && l.Hash() != held.Hash():
		// Everybody keeps the same one of two, whichever came first.
		a, b := l.Hash(), held.Hash()
		news.Newer, contradicts = bytes.Compare(a[:], b[:]) < 0, true
	case l.Seq > held.Seq:
		news.Newer = true
		contradicts = l.Seq == held.Seq+1 && l.Prev != held.Hash()
	case l.Seq+1 == held.Seq:
		contradicts = l.Hash() != held.Prev
	}
	for _, d := range l.Revoked {
		if _, known := r.revoked[d]; !known && len(r.revoked) <= maxUnion {
			r.revoked[d] = struct{}{}
			news.Revoked = append(news.Revoked, d)
		}
	}
	if news.Newer {
		r.list = l
	}
	// A list must carry on every revocation made before it.
	if (news.Newer || news.Revoked != nil) && !r.list.keeps(r.revoked) {
		contradicts = true
	}
	for _, d := range r.InUse() {
		if !slices.ContainsFunc(before, func(b ListedDevice) bool { return b.Device == d.Device }) {
			news.Added = append(news.Added, d.Device)
		}
	}
	if contradicts && !slices.Contains(r.losers, l.Hash()) {
		r.alarmed = true
		if len(r.losers) < maxLosers {
			r.losers = append(r.losers, l.Hash())
		}
		news.Alarm = chat.Errorf(chat.CodeInvalid,
			"Two lists of the devices of person %s contradict each other: somebody else may hold their root key, or they went back to an old backup. Ask them, and verify them again.",
			l.Person().Short())
	}
	return news, nil
}

// Sign makes the list after the one that counts, or the first. devices are those
// that stay in use: a device that was in use and is not among them is revoked by
// it, and what was ever revoked stays so; it can't be listed again. The registry
// changes when the list is taken.
func (r *Registry) Sign(root ed25519.PrivateKey, issuedAt time.Time, devices []ListedDevice) (DeviceList, error) {
	if len(root) != ed25519.PrivateKeySize || !bytes.Equal(root.Public().(ed25519.PublicKey), r.root[:]) {
		return DeviceList{}, errors.New("a device list can be signed by its own root key only")
	}
	in := listBody{Version: Version, Root: r.root[:], Seq: r.list.Seq + 1, Issued: uint64(max(0, issuedAt.Unix()))}
	if r.list.raw != nil {
		hash := r.list.Hash()
		in.Prev = hash[:]
	}
	listed := map[chat.DeviceID]bool{}
	for _, d := range devices {
		if r.Standing(d.Device) == Revoked {
			return DeviceList{}, chat.Errorf(chat.CodeDenied,
				"The device %s has been revoked and can't be used again. Remove its home and join with it as a new device.", d.Device.Short())
		}
		listed[d.Device] = true
		in.Devices = append(in.Devices, rawDevice{Device: bytes.Clone(d.Device[:]), Label: d.Label, Prekey: append([]byte{}, d.Prekey...)})
	}
	gone := maps.Clone(r.revoked)
	for _, d := range r.list.Devices {
		if !listed[d.Device] {
			gone[d.Device] = struct{}{}
		}
	}
	if len(in.Devices) > MaxDevices || len(gone) > MaxRevoked {
		return DeviceList{}, chat.Errorf(chat.CodeBusy,
			"A person can have %d devices and revoke %d. Revoke one that is not used, or start anew with a fresh home.", MaxDevices, MaxRevoked)
	}
	for d := range gone {
		in.Revoked = append(in.Revoked, bytes.Clone(d[:]))
	}
	slices.SortFunc(in.Devices, func(a, b rawDevice) int { return bytes.Compare(a.Device, b.Device) })
	slices.SortFunc(in.Revoked, bytes.Compare)
	signed := must(encMode.Marshal(in))
	return ParseDevices(must(encMode.Marshal(envelope{
		Body: signed, Sig: ed25519.Sign(root, append([]byte(domainList), signed...)),
	})))
}

// keeps reports whether the list carries every one of these revocations.
func (l DeviceList) keeps(revoked map[chat.DeviceID]struct{}) bool {
	n := 0
	for _, d := range l.Revoked {
		if _, ok := revoked[d]; ok {
			n++
		}
	}
	return n == len(revoked)
}

// snapshot is the stored form of a registry.
type snapshot struct {
	_       struct{} `cbor:",toarray"`
	List    []byte
	Revoked [][]byte
	Losers  [][]byte
	Alarmed bool
}

// maxSnapshot bounds a stored registry without its list, in bytes.
const maxSnapshot = 34*(maxUnion+1+maxLosers) + 64

// Snapshot returns the registry as bytes for the store, nil while no list is
// known. It holds nothing secret.
func (r *Registry) Snapshot() []byte {
	if r.list.raw == nil {
		return nil
	}
	s := snapshot{List: r.list.raw, Revoked: make([][]byte, 0, len(r.revoked)), Losers: make([][]byte, 0, len(r.losers)), Alarmed: r.alarmed}
	for _, h := range r.losers {
		s.Losers = append(s.Losers, bytes.Clone(h[:]))
	}
	for d := range r.revoked {
		s.Revoked = append(s.Revoked, bytes.Clone(d[:]))
	}
	slices.SortFunc(s.Revoked, bytes.Compare)
	return must(encMode.Marshal(s))
}

// LoadRegistry reads what Snapshot returned, and verifies the list in it.
func LoadRegistry(b []byte) (*Registry, error) {
	var s snapshot
	if len(b) > MaxDeviceList+maxSnapshot {
		return nil, invalid("a stored device list of %d bytes", len(b))
	}
	if err := strict("a stored device list", b, &s); err != nil {
		return nil, err
	}
	l, err := ParseDevices(s.List)
	if err != nil {
		return nil, err
	}
	if err := l.Verify(); err != nil {
		return nil, err
	}
	r := NewRegistry(l.Root)
	r.list, r.alarmed = l, s.Alarmed
	for _, d := range s.Revoked {
		if len(d) != len(chat.DeviceID{}) {
			return nil, invalid("a stored device of %d bytes", len(d))
		}
		r.revoked[chat.DeviceID(d)] = struct{}{}
	}
	for _, d := range l.Revoked {
		r.revoked[d] = struct{}{} // whatever the store says
	}
	for _, h := range s.Losers {
		if len(h) != len(ListHash{}) || len(r.losers) == maxLosers {
			return nil, invalid("a stored list of device lists that is malformed")
		}
		r.losers = append(r.losers, ListHash(h))
	}
	return r, nil
}
