package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"
	"testing/cryptotest"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"earshot/chat"
	"earshot/chat/wire"
)

var update = flag.Bool("update", false, "write the vectors anew; the format changes with them")

const vectorFile = "../testdata/vectors/seal.json"

// octets are hexadecimal digits in JSON.
type octets []byte

func (o octets) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(o)), nil }

func (o *octets) UnmarshalText(b []byte) (err error) { *o, err = hex.DecodeString(string(b)); return }

// vectors is the published file: first what is chosen, then what follows from it.
type vectors struct {
	About  string `json:"about"`
	Chosen struct {
		AuthorSeed octets `json:"author_ed25519_seed"`
		ToSeed     octets `json:"recipient_ed25519_seed"`
		KEMSeed    octets `json:"recipient_kem_seed"`
		KEMCreated int64  `json:"recipient_prekey_created"`
		Enc        octets `json:"enc"` // of the author, once
		Room       octets `json:"room"`
		View       octets `json:"view"`
		Epoch      uint64 `json:"epoch,string"`
		Start      octets `json:"ck_0"`
		Point      uint64 `json:"n"` // that is shared, and that the message has
		Kind       uint8  `json:"kind"`
		Plaintext  octets `json:"plaintext"`
		Random     octets `json:"random"`
	} `json:"chosen"`
	Author    octets       `json:"author"`
	Recipient octets       `json:"recipient"`
	KEMPublic octets       `json:"recipient_kem_public"`
	PrekeyID  octets       `json:"prekey_id"`
	Prekey    octets       `json:"prekey"`
	PairInfo  octets       `json:"pair_info"`
	PairRoot  octets       `json:"pair_root"`
	PairID    octets       `json:"pair_root_id"`
	Chain     []chainPoint `json:"chain"`
	Veiled    octets       `json:"veiled_view"`
	SlotTo    octets       `json:"slot_to"`
	WrapKey   octets       `json:"wrap_key"`
	SlotAD    octets       `json:"slot_ad"`
	SlotBox   octets       `json:"slot_box"`
	Fresh     octets       `json:"share_with_enc"`
	Known     octets       `json:"share_with_known_root"`
	Empty     octets       `json:"share_without_slots"`
	Request   octets       `json:"request"`
	Padding   [][2]int     `json:"padding"` // length, padded length
	Padded    octets       `json:"padded"`
	Nonce     octets       `json:"nonce"`
	AD        octets       `json:"ad"`
	Box       octets       `json:"box"`
	Payload   octets       `json:"sealed_payload"`
	Grant     octets       `json:"grant"` // of that point, as in a History frame
	Forged    octets       `json:"grant_to_refuse"`
}

type chainPoint struct {
	N      uint64 `json:"n"`
	CK     octets `json:"ck"`
	MK     octets `json:"mk"`
	Commit octets `json:"commit"`
}

// The rest of this file up to derive is PROTOCOL.md#sealed-rooms in the plainest
// code, apart from the package: it knows nothing of the engine.

func specHMAC(key []byte, parts ...[]byte) octets {
	h := hmac.New(sha256.New, key)
	h.Write(bytes.Join(parts, nil))
	return h.Sum(nil)
}

func specHash(parts ...[]byte) octets {
	h := sha256.Sum256(bytes.Join(parts, nil))
	return h[:]
}

func domain(s string) []byte { return []byte("earshot/v1 " + s + "\x00") }

func be64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// cborHead writes the head of a CBOR item.
func cborHead(major byte, n uint64) []byte {
	switch m := major << 5; {
	case n < 24:
		return []byte{m | byte(n)}
	case n < 1<<8:
		return []byte{m | 24, byte(n)}
	case n < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{m | 25}, uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32([]byte{m | 26}, uint32(n))
	default:
		return binary.BigEndian.AppendUint64([]byte{m | 27}, n)
	}
}

func cborUint(n uint64) []byte  { return cborHead(0, n) }
func cborBytes(b []byte) []byte { return append(cborHead(2, uint64(len(b))), b...) }

func cborArray(items ...[]byte) []byte {
	return append(cborHead(4, uint64(len(items))), bytes.Join(items, nil)...)
}

// cborMap numbers its values from 1.
func cborMap(values ...[]byte) []byte {
	out := cborHead(5, uint64(len(values)))
	for i, v := range values {
		out = append(append(out, cborUint(uint64(i+1))...), v...)
	}
	return out
}

func specAEAD(t testing.TB, key, nonce, plaintext, ad []byte) octets {
	a, err := chacha20poly1305.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return a.Seal(nil, nonce, plaintext, ad)
}

// derive fills in everything that follows from what is chosen.
func (v *vectors) derive(t testing.TB) {
	c, suite := &v.Chosen, []byte{1}
	author, to := ed25519.NewKeyFromSeed(c.AuthorSeed), ed25519.NewKeyFromSeed(c.ToSeed)
	v.Author, v.Recipient = octets(author.Public().(ed25519.PublicKey)), octets(to.Public().(ed25519.PublicKey))

	// The prekey and the pair root.
	kemKey, err := hpke.MLKEM768X25519().NewPrivateKey(c.KEMSeed)
	if err != nil {
		t.Fatal(err)
	}
	v.KEMPublic = kemKey.PublicKey().Bytes()
	v.PrekeyID = specHash(domain("prekey-id"), v.KEMPublic)[:8]
	body := cborMap(cborUint(1), cborBytes(v.Recipient), cborBytes(v.KEMPublic), cborUint(uint64(c.KEMCreated)))
	v.Prekey = cborArray(cborBytes(body), cborBytes(ed25519.Sign(to, append(domain("prekey"), body...))))
	v.PairInfo = bytes.Join([][]byte{domain("pair"), suite, v.Author, v.Recipient}, nil)
	r, err := hpke.NewRecipient(c.Enc, kemKey, hpke.HKDFSHA256(), hpke.ExportOnly(), v.PairInfo)
	if err != nil {
		t.Fatal(err)
	}
	root, err := r.Export(string(domain("pair-root")), 32)
	if err != nil {
		t.Fatal(err)
	}
	v.PairRoot, v.PairID = root, specHash(domain("pair-root-id"), c.Enc)[:8]

	// The chain.
	v.Chain = nil
	ck := c.Start
	for n := range uint64(5) {
		v.Chain = append(v.Chain, chainPoint{
			N: n, CK: ck, MK: specHMAC(ck, []byte{1}),
			Commit: specHash(domain("chain-commit"), suite, c.Room, v.Author, be64(c.Epoch), be64(n), ck),
		})
		ck = specHMAC(ck, []byte{2})
	}
	point := v.Chain[c.Point]

	// The share.
	v.Veiled = specHMAC(c.Room, domain("view"), point.Commit)
	for i := range v.Veiled {
		v.Veiled[i] ^= c.View[i]
	}
	v.SlotTo = specHMAC(c.Room, domain("slot-to"), point.Commit, v.Recipient)[:8]
	v.WrapKey = specHMAC(v.PairRoot, domain("wrap"), point.Commit, c.View, v.Recipient)
	v.SlotAD = bytes.Join([][]byte{domain("slot"), suite, point.Commit, c.View, v.Author, v.Recipient}, nil)
	v.SlotBox = specAEAD(t, v.WrapKey, make([]byte, 12), point.CK, v.SlotAD)
	share := func(slots ...[]byte) octets {
		return cborMap(cborUint(1), cborUint(c.Point), cborBytes(point.Commit), cborBytes(v.Veiled), cborArray(slots...))
	}
	v.Fresh = share(cborArray(cborBytes(v.SlotTo), cborBytes(append(bytes.Clone(v.PrekeyID), c.Enc...)), cborBytes(v.SlotBox)))
	v.Known = share(cborArray(cborBytes(v.SlotTo), cborBytes(v.PairID), cborBytes(v.SlotBox)))
	v.Empty = share()
	v.Request = cborMap(cborUint(1), cborBytes(v.Prekey))

	// The message.
	v.Padding = nil
	for _, n := range []int{0, 1, 63, 64, 127, 128, 255, 256, 511, 512, 1023, 1024, 1535, 1536, 15_871} {
		v.Padding = append(v.Padding, [2]int{n, specBucket(n)})
	}
	v.Padded = make([]byte, specBucket(len(c.Plaintext)))
	copy(v.Padded, c.Plaintext)
	v.Padded[len(c.Plaintext)] = 0x80
	v.Nonce = specHMAC(specHMAC(point.CK, []byte{3}), c.Random, v.Padded)[:12]
	v.AD = bytes.Join([][]byte{domain("sealed"), suite, v.Author, be64(c.Epoch), be64(c.Point), c.Room, {c.Kind}}, nil)
	v.Box = append(bytes.Clone(v.Nonce), specAEAD(t, point.MK, v.Nonce, v.Padded, v.AD)...)
	v.Payload = cborMap(cborUint(1), cborUint(c.Point), cborBytes(v.Box))

	// The point, handed on to a newcomer; and another one under its number.
	grant := func(key []byte) octets {
		return cborArray(cborBytes(v.Author), cborUint(c.Epoch), cborUint(c.Point), cborBytes(key))
	}
	v.Grant, v.Forged = grant(point.CK), grant(v.Chain[c.Point+1].CK)
}

func specBucket(n int) int {
	for _, size := range []int{64, 128, 256, 512, 1024} {
		if n+1 <= size {
			return size
		}
	}
	return (n + 1 + 511) / 512 * 512
}

func readVectors(t testing.TB) *vectors {
	text, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return &v
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	published := readVectors(t)
	computed := vectors{About: published.About, Chosen: published.Chosen}
	computed.derive(t)
	got, want := reflect.ValueOf(computed), reflect.ValueOf(*published)
	for i := range got.NumField() {
		if !reflect.DeepEqual(got.Field(i).Interface(), want.Field(i).Interface()) {
			t.Errorf("%s: computed %x, published %x", got.Type().Field(i).Name, got.Field(i), want.Field(i))
		}
	}
}

func writeVectors(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	author, to := keyOf("alice"), keyOf("bob")
	sum := func(s string) octets { h := sha256.Sum256([]byte(s)); return h[:] }
	var v vectors
	v.About = "Sealed rooms of chat/PROTOCOL.md, suite 1. Bytes are hexadecimal. Everything below 'chosen' follows from it; enc is chosen, since it is random."
	c := &v.Chosen
	c.AuthorSeed, c.ToSeed, c.KEMSeed = author.Seed(), to.Seed(), sum("earshot test kem bob")
	c.KEMCreated = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	c.Room, c.View, c.Start = sum("earshot test room"), sum("earshot test view"), sum("earshot test ck_0")
	c.Epoch, c.Point, c.Kind = 0x0123456789abcdef, 2, uint8(wire.KindMessage)
	c.Plaintext, c.Random = wire.Marshal(wire.Message{Text: "Good morning 👋"}), sum("earshot test random")[:12]
	key, err := kem.NewPrivateKey(c.KEMSeed)
	if err != nil {
		t.Fatal(err)
	}
	enc, _, err := encapsulate(key.PublicKey().Bytes(), deviceOf("alice"), deviceOf("bob"))
	if err != nil {
		t.Fatal(err)
	}
	c.Enc = enc
	v.derive(t)
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorFile, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The engine's own functions give, and take, the same.
func TestTheEngineAgreesWithTheVectors(t *testing.T) {
	v := readVectors(t)
	c := &v.Chosen
	same := func(what string, got, want []byte) {
		t.Helper()
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %x, published %x", what, got, want)
		}
	}
	author, to := chat.DeviceID(v.Author), chat.DeviceID(v.Recipient)
	room, view := chat.RoomID(c.Room), [32]byte(c.View)

	own, err := newOwnPrekey(ed25519.NewKeyFromSeed(c.ToSeed), c.KEMSeed, time.Unix(c.KEMCreated, 0))
	if err != nil {
		t.Fatal(err)
	}
	same("prekey", own.signed.Bytes(), v.Prekey)
	same("prekey id", own.signed.id[:], v.PrekeyID)
	asked, err := decodeRequest(v.Request)
	if err != nil || asked.Verify() != nil {
		t.Fatalf("request: %v", err)
	}
	same("request", wire.Marshal(request{Suite: Suite, Prekey: own.signed.Bytes()}), v.Request)

	root, err := decapsulate(own.key, c.Enc, author, to)
	if err != nil {
		t.Fatal(err)
	}
	same("pair root", root[:], v.PairRoot)
	id := rootID(c.Enc)
	same("pair root id", id[:], v.PairID)
	for _, p := range v.Chain {
		ck := advance(secret(c.Start), p.N)
		mk := messageKey(ck)
		commit := commitment(room, author, c.Epoch, p.N, ck)
		same("ck", ck[:], p.CK)
		same("mk", mk[:], p.MK)
		same("commit", commit[:], p.Commit)
	}
	ck, commit := secret(v.Chain[c.Point].CK), [32]byte(v.Chain[c.Point].Commit)
	known := &Engine{device: author}
	p := &pairTo{device: to, id: id, root: root, prekey: own.signed}
	s := share{N: c.Point, Commit: commit, View: view, Slots: []slot{known.slot(p, room, ck, commit, view)}}
	same("slot", s.Slots[0].Box, v.SlotBox)
	same("share with known root", encodeShare(room, s)[0], v.Known)
	p.enc = c.Enc
	s.Slots[0] = known.slot(p, room, ck, commit, view)
	same("share with enc", encodeShare(room, s)[0], v.Fresh)
	s.Slots = nil
	same("share without slots", encodeShare(room, s)[0], v.Empty)

	for _, p := range v.Padding {
		if got := bucket(p[0]); got != p[1] {
			t.Errorf("%d bytes are padded to %d, published %d", p[0], got, p[1])
		}
	}
	ad := sealedAD(room, author, c.Epoch, c.Point, wire.Kind(c.Kind))
	same("ad", ad, v.AD)
	box := sealBox(ck, [nonceSize]byte(c.Random), c.Plaintext, ad)
	same("box", box, v.Box)
	same("payload", wire.Marshal(sealed{Suite: Suite, N: c.Point, Box: box}), v.Payload)

	// A device with that prekey reads the published share and message.
	e, err := New(Config{Key: ed25519.NewKeyFromSeed(c.ToSeed), Random: broken{}}, map[string][]byte{prekeyKey(own.signed.id): own.encode()})
	if err != nil {
		t.Fatal(err)
	}
	en := wire.Entry{Header: wire.Header{Device: author, Kind: wire.KindKeyShare, Epoch: c.Epoch}, Payload: v.Fresh}
	now := time.Unix(c.KEMCreated, 0)
	e.Handle(now, Receive{Room: room, Entry: en})
	en.Kind, en.Payload = wire.Kind(c.Kind), v.Payload
	if o, ok := e.Handle(now, Receive{Room: room, Entry: en})[0].(Opened); !ok || !bytes.Equal(o.Plaintext, c.Plaintext) || o.View != view {
		t.Errorf("opened %+v", o)
	}
}

// A device without any key reads the published message once it is granted the point
// that the author's share commits to, and no other.
func TestTheEngineAgreesWithTheGrantOfTheVectors(t *testing.T) {
	v := readVectors(t)
	c := &v.Chosen
	room, now := chat.RoomID(c.Room), time.Unix(c.KEMCreated, 0)
	e, err := New(Config{Key: keyOf("carol"), Random: broken{}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	e.Handle(now, Recipients{Room: room, Keep: true})
	en := wire.Entry{Header: wire.Header{Device: chat.DeviceID(v.Author), Kind: wire.KindKeyShare, Epoch: c.Epoch}, Payload: v.Empty}
	e.Handle(now, Receive{Room: room, Entry: en})
	granted := func(b []byte) []Effect {
		var g struct {
			_      struct{} `cbor:",toarray"`
			Device []byte
			Epoch  uint64
			N      uint64
			Key    []byte
		}
		if err := wire.Unmarshal(b, &g); err != nil {
			t.Fatal(err)
		}
		return e.Handle(now, Granted{Room: room, Grants: []Grant{{
			Device: chat.DeviceID(g.Device), Epoch: g.Epoch, N: g.N, Key: [32]byte(g.Key),
		}}})
	}
	if out := granted(v.Forged); len(out) != 1 {
		t.Errorf("a forged grant: %+v", out)
	} else if _, ok := out[0].(Refuse); !ok {
		t.Errorf("a forged grant: %+v", out)
	}
	granted(v.Grant)
	en.Kind, en.Payload = wire.Kind(c.Kind), v.Payload
	if o, ok := e.Handle(now, Receive{Room: room, Entry: en})[0].(Opened); !ok || !bytes.Equal(o.Plaintext, c.Plaintext) {
		t.Errorf("opened %+v", o)
	}
}
