package node

import (
	"context"
	"time"

	"earshot/chat"
)

// This file answers for what is not built yet; each part goes to its own file.

func notYet() error {
	return chat.Errorf(chat.CodeInternal, "This Earshot can't do that yet. Update Earshot.")
}

func (n *Node) Edit(context.Context, chat.EntryID, string) (chat.Message, error) {
	return chat.Message{}, notYet()
}

func (n *Node) Delete(context.Context, chat.EntryID) (chat.Message, error) {
	return chat.Message{}, notYet()
}

func (n *Node) React(context.Context, chat.EntryID, string, bool) (chat.Message, error) {
	return chat.Message{}, notYet()
}

func (n *Node) SetDisappear(context.Context, chat.RoomID, time.Duration) error { return notYet() }

func (n *Node) SetRetention(context.Context, chat.RoomID, time.Duration) error { return notYet() }
