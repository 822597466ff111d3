package node

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"earshot/chat"
	"earshot/chat/courier"
	"earshot/chat/wire"
	"earshot/node/store"
)

// This file carries envelopes on foot: PROTOCOL.md#carried-files.

// carryMagic opens a carried file: what it is, and the version of its layout.
const carryMagic = "EARSHOT CARRY 1\n"

// maxCarried bounds the frames that are read of one carried file: twice what a courier
// holds at the most, and all the proofs. At 60 KiB each, that is 2 GiB.
const maxCarried = 2*courier.MaxHeld + courier.MaxProofs

// carriedIn is what became of one envelope.
type carriedIn struct {
	says     uint8 // of wire's answers, 0 for one that was opened
	err      error // that the store had
	room     chat.RoomID
	entries  int // that were new
	messages int
}

// judged tells who carries it in what became of an envelope.
func (c *core) judged(id courier.ID, out carriedIn) {
	if bell := c.couriers.judged[id]; bell != nil {
		delete(c.couriers.judged, id)
		bell <- out // has room for it
	}
}

// CarryOut writes sealed entries, for others to read where the bytes are carried: this
// person's, of all that is not known to have arrived, and those held for others.
func (n *Node) CarryOut(ctx context.Context, w io.Writer) (chat.Carried, error) {
	n.carrying.Lock()
	defer n.carrying.Unlock()
	var total chat.Carried
	if err := n.packAll(ctx); err != nil {
		return total, err
	}
	type load struct {
		parcels []courier.Parcel
		held    []courier.ID
		proofs  []wire.Taken
	}
	out, err := inLoop(ctx, n, func(c *core) (load, error) {
		e := c.couriers.engine
		l := load{held: e.HeldIDs(), proofs: e.Proofs()}
		for _, id := range e.Outgoing() {
			if p, ok := e.Parcel(id); ok {
				l.parcels = append(l.parcels, p)
			}
		}
		return l, nil
	})
	if err != nil {
		return total, err
	}
	to := &carrier{w: bufio.NewWriter(w)}
	to.write([]byte(carryMagic))
	rooms := map[chat.RoomID]bool{}
	var gone courier.Carried
	for _, p := range out.parcels {
		ok, err := n.carryEnvelope(ctx, to, store.CourierParcel, p.ID)
		if err != nil {
			return total, err
		}
		if !ok {
			continue
		}
		gone.IDs = append(gone.IDs, p.ID)
		rooms[p.Key.Room] = true
		total.Messages += p.Messages
		for _, r := range p.Ranges {
			total.Entries += int(r.To - r.From + 1)
		}
	}
	total.Rooms = len(rooms)
	for _, id := range out.held {
		ok, err := n.carryEnvelope(ctx, to, store.CourierHeld, id)
		if err != nil {
			return total, err
		}
		if ok {
			total.Held++
		}
	}
	for _, f := range out.proofs {
		to.frame(f)
	}
	to.frame(wire.Done{Sent: to.frames})
	if err := to.flush(); err != nil {
		return total, chat.Wrap(chat.CodeInternal, err, "Writing the sealed messages failed.", "Check that there is room where they go, and carry out again.")
	}
	return total, n.do(ctx, func(c *core) { c.courier(gone) })
}

// packAll has envelopes made of all that anybody lacks, and waits for that.
func (n *Node) packAll(ctx context.Context) error {
	bell := make(chan struct{})
	err := n.do(ctx, func(c *core) {
		c.couriers.carrying = true
		c.surveyCouriers()
		c.couriers.carrying = false
		if c.couriers.engine.Packing() == 0 {
			close(bell)
			return
		}
		c.couriers.packed = append(c.couriers.packed, bell)
	})
	if err != nil {
		return err
	}
	select {
	case <-bell:
	case <-ctx.Done():
		return ctx.Err()
	case <-n.loopDone:
		return errStopping()
	}
	stored := make(chan struct{}) // their bytes are read from there
	n.store.PutCourier(nil, func(error) { close(stored) })
	<-stored
	return nil
}

// carryEnvelope writes an envelope. It may have expired meanwhile.
func (n *Node) carryEnvelope(ctx context.Context, to *carrier, kind store.CourierKind, id courier.ID) (bool, error) {
	b, err := n.store.CourierBytes(ctx, kind, store.CourierID(id))
	if err != nil || b == nil {
		return false, err
	}
	to.frame(wire.Deposit{Envelope: b})
	return true, nil
}

// carrier writes a carried file. The first error stands until flush tells it.
type carrier struct {
	w      *bufio.Writer
	frames uint64
	err    error
}

func (c *carrier) write(b []byte) {
	if c.err == nil {
		_, c.err = c.w.Write(b)
	}
}

func (c *carrier) frame(f wire.Frame) {
	b := wire.EncodeFrame(f)
	c.write(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
	c.write(b)
	c.frames++
}

func (c *carrier) flush() error {
	if c.err == nil {
		c.err = c.w.Flush()
	}
	return c.err
}

// CarryIn takes up what CarryOut wrote, here or elsewhere. Damaged or foreign bytes are
// chat.CodeInvalid, and what was whole before them is taken.
func (n *Node) CarryIn(ctx context.Context, from io.Reader) (chat.Carried, error) {
	n.carrying.Lock()
	defer n.carrying.Unlock()
	var total chat.Carried
	rooms := map[chat.RoomID]bool{}
	err := readCarried(from, func(f wire.Frame) error {
		switch f := f.(type) {
		case wire.Deposit:
			out, err := n.carryIn(ctx, f)
			if err != nil {
				return err
			}
			switch out.says {
			case 0:
				total.Entries += out.entries
				total.Messages += out.messages
				if out.entries > 0 {
					rooms[out.room] = true
				}
			case wire.AnswerKept:
				total.Held++
			case wire.AnswerNoted: // was here before
			default:
				total.Refused++
			}
			return out.err
		case wire.Taken:
			return n.do(ctx, func(c *core) { c.courier(courier.CarriedProof{Taken: f}) })
		}
		return nil // of the future
	})
	total.Rooms = len(rooms)
	return total, err
}

// carryIn takes one envelope in, and returns what became of it once that is stored.
func (n *Node) carryIn(ctx context.Context, f wire.Deposit) (carriedIn, error) {
	refused := carriedIn{says: wire.AnswerRefused}
	env, cert, err := courier.CarriedFrom(f)
	if err != nil {
		n.log.Debug("a carried envelope was refused", "err", err)
		return refused, nil
	}
	bell := make(chan carriedIn, 1)
	taken := false
	err = n.do(ctx, func(c *core) {
		who := cert.Person()
		if c.hidden(who) || c.revokedBy(who, cert.Device) || c.couriers.judged[env.ID] != nil {
			return
		}
		taken = true
		c.settleCourierRooms()
		c.couriers.judged[env.ID] = bell
		c.courier(courier.CarriedIn{Envelope: env, Standing: c.courierStanding(who)})
	})
	if err != nil || !taken {
		return refused, err
	}
	select {
	case out := <-bell:
		return out, nil
	case <-ctx.Done():
		_ = n.tell(n.ctx, func(c *core) { delete(c.couriers.judged, env.ID) })
		return refused, ctx.Err()
	case <-n.loopDone:
		return refused, errStopping()
	}
}

// readCarried reads a carried file to its end. What is wrong with it is said once what
// was whole before it has been taken.
func readCarried(from io.Reader, take func(wire.Frame) error) error {
	r := bufio.NewReaderSize(from, 1<<16)
	magic := make([]byte, len(carryMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != carryMagic {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return errReading(err)
		}
		return chat.Errorf(chat.CodeInvalid, "This is no file that Earshot has written to be carried. Nothing was taken from it; choose another file.")
	}
	buf := make([]byte, chat.MaxFrame)
	for n := uint64(0); ; n++ {
		var size [4]byte
		_, err := io.ReadFull(r, size[:])
		length := binary.BigEndian.Uint32(size[:])
		if err == nil && (length == 0 || length > chat.MaxFrame) {
			return errDamaged(fmt.Errorf("a frame of %d bytes", length))
		}
		if err == nil {
			_, err = io.ReadFull(r, buf[:length])
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return chat.Wrap(chat.CodeInvalid, err, "The file ends too early: it was not copied whole.",
				"What came before has been taken. Carry out again, and take the medium out only when that has ended.")
		case err != nil:
			return errReading(err)
		case n == maxCarried:
			return chat.Errorf(chat.CodeInvalid, "The file holds more than Earshot ever writes. What came before has been taken; carry the rest in another file.")
		}
		f, err := wire.DecodeFrame(append([]byte(nil), buf[:length]...))
		if err != nil {
			return errDamaged(err)
		}
		if done, ok := f.(wire.Done); ok {
			if done.Sent != n {
				return errDamaged(fmt.Errorf("%d frames instead of %d", n, done.Sent))
			}
			return nil
		}
		if err := take(f); err != nil {
			return err
		}
	}
}

func errReading(err error) error {
	return chat.Wrap(chat.CodeInternal, err, "The file can't be read to its end: "+err.Error()+".", "Check the medium, and carry in again.")
}

func errDamaged(err error) error {
	return chat.Wrap(chat.CodeInvalid, err, "The file is damaged.", "What came before the damage has been taken. Carry out again for the rest.")
}
