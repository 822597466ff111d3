package apitest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"earshot/chat"
)

// This file is what is done for people who are away.

// usualSpace is what a keeper gives, in bytes.
const usualSpace = 1 << 30

// Keep says what this node holds for others.
func (n *Node) Keep(used int64, envelopes int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kept.Used, n.kept.Held = used, envelopes
	n.feed.Publish(chat.KeeperEvent{Keeper: n.kept})
}

func (n *Node) Keeper(context.Context) (chat.Keeper, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.kept, n.fail
}

func (n *Node) SetKeeper(_ context.Context, on bool, space int64) (chat.Keeper, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return chat.Keeper{}, n.fail
	}
	if space == 0 {
		space = usualSpace
	}
	if n.kept.On, n.kept.Space = on, space; !on {
		n.kept.Space = 0
	}
	n.feed.Publish(chat.KeeperEvent{Keeper: n.kept})
	return n.kept, nil
}

// carryHead begins what is carried here, carryTail ends it.
const (
	carryHead = "apitest carries\n"
	carryTail = "the end\n"
)

// carriedMessage is one line of it.
type carriedMessage struct {
	Room chat.RoomID  `json:"room"`
	From chat.Author  `json:"from"`
	ID   chat.EntryID `json:"id"`
	At   time.Time    `json:"at"`
	Text string       `json:"text"`
}

func (n *Node) CarryOut(_ context.Context, w io.Writer) (chat.Carried, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return chat.Carried{}, n.fail
	}
	out := bufio.NewWriter(w)
	_, _ = out.WriteString(carryHead) // Flush tells
	carried := chat.Carried{Held: n.kept.Held}
	for _, r := range n.rooms {
		if !r.Kind.Sealed() || len(r.messages) == 0 {
			continue
		}
		carried.Rooms++
		for _, m := range r.messages {
			line, err := json.Marshal(carriedMessage{r.RoomID, m.From, m.ID, m.SentAt, m.Text})
			if err != nil {
				return chat.Carried{}, err
			}
			fmt.Fprintf(out, "%s\n", line)
			carried.Entries++
			carried.Messages++
		}
	}
	_, _ = out.WriteString(carryTail)
	return carried, out.Flush()
}

func (n *Node) CarryIn(_ context.Context, r io.Reader) (carried chat.Carried, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return carried, n.fail
	}
	in := bufio.NewScanner(r)
	rooms := map[chat.RoomID]bool{}
	for first := true; in.Scan(); first = false {
		line := in.Text() + "\n"
		switch {
		case first && line == carryHead:
			continue
		case first:
			return carried, chat.Errorf(chat.CodeInvalid, "That is nothing that `earshot carry out` wrote. Choose another file.")
		case line == carryTail:
			return carried, nil
		}
		var m carriedMessage
		if json.Unmarshal(in.Bytes(), &m) != nil {
			carried.Refused++
			break
		}
		room, err := n.byRoomID(m.Room)
		switch {
		case err != nil:
			n.kept.Held++
			carried.Held++
		case !slices.ContainsFunc(room.messages, func(o chat.Message) bool { return o.ID == m.ID }):
			n.put(room, m.ID, m.From, chat.Draft{Text: m.Text}, m.At)
			carried.Entries++
			carried.Messages++
			rooms[m.Room] = true
			carried.Rooms = len(rooms)
		}
	}
	if in.Err() != nil {
		return carried, in.Err()
	}
	return carried, chat.Errorf(chat.CodeInvalid, "The file is damaged: its end is missing. What was whole before has been taken. Copy it again for the rest.")
}
