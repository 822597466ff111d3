package node

import (
	"context"
	"fmt"

	"earshot/chat"
	"earshot/chat/courier"
	"earshot/chat/wire"
	"earshot/node/store"
)

// This file is how the store holds what is known of envelopes.

// keeperKey is the key of State under which the setting is stored.
const keeperKey = "courier/keeper"

type storedKeeper struct {
	On    bool   `cbor:"1,keyasint"`
	Space uint64 `cbor:"2,keyasint"`
}

func encodeKeeper(s courier.Settings) []byte {
	return wire.Marshal(storedKeeper{s.Keeper, uint64(s.Space)})
}

func (n *Node) loadKeeper(ctx context.Context) (courier.Settings, error) {
	s := courier.Settings{Space: courier.DefaultSpace}
	state, err := n.store.State(ctx, keeperKey)
	if err != nil {
		return s, err
	}
	b, ok := state[keeperKey]
	if !ok {
		return s, nil
	}
	var in storedKeeper
	if err := wire.Unmarshal(b, &in); err != nil || in.Space < courier.MinSpace || in.Space > courier.MaxSpace {
		return s, errCouriers(fmt.Errorf("the setting of a keeper: %d bytes: %w", in.Space, err))
	}
	return courier.Settings{Keeper: in.On, Space: int64(in.Space)}, nil
}

func errCouriers(err error) error {
	return chat.Wrap(chat.CodeHomeBroken, err, "What this home holds for others can't be read.", "Restore a backup: earshot restore FILE")
}

type storedHeld struct {
	Tag      []byte `cbor:"1,keyasint"`
	Salt     []byte `cbor:"2,keyasint"`
	Lock     []byte `cbor:"3,keyasint"`
	Device   []byte `cbor:"4,keyasint"`
	Person   []byte `cbor:"5,keyasint"`
	Standing uint8  `cbor:"6,keyasint"`
	Size     uint64 `cbor:"7,keyasint"`
	Since    uint64 `cbor:"8,keyasint"`
	Expires  uint64 `cbor:"9,keyasint"`
}

type storedRange struct {
	_        struct{} `cbor:",toarray"`
	Log      []byte
	From, To uint64
}

type storedHolder struct {
	_        struct{} `cbor:",toarray"`
	Device   []byte
	Person   []byte
	Standing uint8
	Keeper   bool
	Since    uint64
}

type storedParcel struct {
	Room     []byte         `cbor:"1,keyasint"`
	Person   []byte         `cbor:"2,keyasint"`
	Salt     []byte         `cbor:"3,keyasint"`
	Tag      []byte         `cbor:"4,keyasint"`
	Size     uint64         `cbor:"5,keyasint"`
	Made     uint64         `cbor:"6,keyasint"`
	Expires  uint64         `cbor:"7,keyasint"`
	Ranges   []storedRange  `cbor:"8,keyasint,omitempty"`
	Messages uint64         `cbor:"9,keyasint"`
	Holders  []storedHolder `cbor:"10,keyasint,omitempty"`
	Carried  uint64         `cbor:"11,keyasint"`
	By       []byte         `cbor:"12,keyasint"`
	Proven   uint64         `cbor:"13,keyasint"`
}

// storedWord is a proof or an arrival.
type storedWord struct {
	Device  []byte `cbor:"1,keyasint"`
	Secret  []byte `cbor:"2,keyasint"`
	Reply   []byte `cbor:"3,keyasint,omitempty"`
	Expires uint64 `cbor:"4,keyasint"`
}

func heldChange(h *courier.Held, bytes []byte) store.CourierChange {
	return store.CourierChange{Kind: store.CourierHeld, ID: store.CourierID(h.ID), Bytes: bytes, Meta: wire.Marshal(storedHeld{
		h.Tag[:], h.Salt[:], h.Lock[:], h.Device[:], h.Person[:], uint8(h.Standing), uint64(h.Size), stamp(h.Since), stamp(h.Expires),
	})}
}

func courierSave(ef courier.Save) store.CourierChange {
	switch {
	case ef.Parcel != nil:
		p := ef.Parcel
		s := storedParcel{
			Room: p.Key.Room[:], Person: p.Key.Person[:], Salt: p.Salt[:], Tag: p.Tag[:], Size: uint64(p.Size), Made: stamp(p.Made),
			Expires: stamp(p.Expires), Messages: uint64(p.Messages), Carried: stamp(p.Carried), By: p.By[:], Proven: stamp(p.Proven),
		}
		for _, r := range p.Ranges {
			s.Ranges = append(s.Ranges, storedRange{Log: r.Log[:], From: r.From, To: r.To})
		}
		for _, h := range p.Holders {
			s.Holders = append(s.Holders, storedHolder{
				Device: h.Device[:], Person: h.Person[:], Standing: uint8(h.Standing), Keeper: h.Keeper, Since: stamp(h.Since),
			})
		}
		return store.CourierChange{Kind: store.CourierParcel, ID: store.CourierID(p.ID), Meta: wire.Marshal(s), Bytes: ef.Bytes}
	case ef.Proof != nil:
		p := ef.Proof
		return store.CourierChange{Kind: store.CourierProof, ID: store.CourierID(p.ID), Meta: wire.Marshal(storedWord{
			p.Device[:], p.Secret[:], p.Reply, stamp(p.Expires),
		})}
	default:
		a := ef.Arrival
		return store.CourierChange{Kind: store.CourierArrival, ID: store.CourierID(a.ID), Meta: wire.Marshal(storedWord{
			make([]byte, len(chat.DeviceID{})), a.Secret[:], a.Reply, stamp(a.Expires),
		})}
	}
}

func courierDrop(ef courier.Drop) store.CourierChange {
	for _, d := range []struct {
		kind store.CourierKind
		id   courier.ID
	}{{store.CourierHeld, ef.Held}, {store.CourierParcel, ef.Parcel}, {store.CourierProof, ef.Proof}} {
		if d.id != (courier.ID{}) {
			return store.CourierChange{Kind: d.kind, ID: store.CourierID(d.id)}
		}
	}
	return store.CourierChange{Kind: store.CourierArrival, ID: store.CourierID(ef.Arrival)}
}

// loadCouriers returns what the store holds of envelopes.
func (n *Node) loadCouriers(ctx context.Context) (in courier.Restore, err error) {
	each := func(kind store.CourierKind, read func(courier.ID, []byte) error) {
		if err != nil {
			return
		}
		var rows []store.CourierRow
		if rows, err = n.store.Courier(ctx, kind); err != nil {
			return
		}
		for _, r := range rows {
			if bad := read(courier.ID(r.ID), r.Meta); bad != nil {
				err = errCouriers(bad)
				return
			}
		}
	}
	each(store.CourierHeld, func(id courier.ID, b []byte) error {
		h, err := decodeHeld(b)
		h.ID = id
		in.Held = append(in.Held, h)
		return err
	})
	each(store.CourierParcel, func(id courier.ID, b []byte) error {
		p, err := decodeParcel(b)
		p.ID = id
		in.Parcels = append(in.Parcels, p)
		return err
	})
	each(store.CourierProof, func(id courier.ID, b []byte) error {
		d, a, err := decodeWord(b)
		in.Proofs = append(in.Proofs, courier.Proof{ID: id, Device: d, Secret: a.Secret, Reply: a.Reply, Expires: a.Expires})
		return err
	})
	each(store.CourierArrival, func(id courier.ID, b []byte) error {
		_, a, err := decodeWord(b)
		a.ID = id
		in.Arrived = append(in.Arrived, a)
		return err
	})
	return in, err
}

func decodeHeld(b []byte) (h courier.Held, err error) {
	var s storedHeld
	if err := wire.Unmarshal(b, &s); err != nil {
		return h, err
	}
	h.Standing, h.Size, h.Since, h.Expires = courier.Standing(s.Standing), int64(s.Size), moment(s.Since), moment(s.Expires)
	return h, fillAll([][2][]byte{{h.Tag[:], s.Tag}, {h.Salt[:], s.Salt}, {h.Lock[:], s.Lock}, {h.Device[:], s.Device}, {h.Person[:], s.Person}})
}

func decodeParcel(b []byte) (p courier.Parcel, err error) {
	var s storedParcel
	if err := wire.Unmarshal(b, &s); err != nil {
		return p, err
	}
	p.Size, p.Made, p.Expires, p.Messages = int64(s.Size), moment(s.Made), moment(s.Expires), int(s.Messages)
	p.Carried, p.Proven = moment(s.Carried), moment(s.Proven)
	fields := [][2][]byte{{p.Key.Room[:], s.Room}, {p.Key.Person[:], s.Person}, {p.Salt[:], s.Salt}, {p.Tag[:], s.Tag}, {p.By[:], s.By}}
	p.Ranges, p.Holders = make([]courier.Range, len(s.Ranges)), make([]courier.Holder, len(s.Holders))
	for i, r := range s.Ranges {
		p.Ranges[i].From, p.Ranges[i].To = r.From, r.To
		fields = append(fields, [2][]byte{p.Ranges[i].Log[:], r.Log})
	}
	for i, h := range s.Holders {
		to := &p.Holders[i]
		to.Standing, to.Keeper, to.Since = courier.Standing(h.Standing), h.Keeper, moment(h.Since)
		fields = append(fields, [2][]byte{to.Device[:], h.Device}, [2][]byte{to.Person[:], h.Person})
	}
	return p, fillAll(fields)
}

func decodeWord(b []byte) (d chat.DeviceID, a courier.Arrival, err error) {
	var s storedWord
	if err := wire.Unmarshal(b, &s); err != nil {
		return d, a, err
	}
	a.Reply, a.Expires = s.Reply, moment(s.Expires)
	err = fillAll([][2][]byte{{d[:], s.Device}, {a.Secret[:], s.Secret}})
	return d, a, err
}

func fillAll(fields [][2][]byte) error {
	for _, f := range fields {
		if err := fill(f[0], f[1]); err != nil {
			return err
		}
	}
	return nil
}
