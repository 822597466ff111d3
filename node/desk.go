package node

import (
	"context"

	"earshot/chat"
)

// This file answers for what is not built yet; each part goes to its own file.

func notYet() error {
	return chat.Errorf(chat.CodeInternal, "This Earshot can't do that yet. Update Earshot.")
}

func (n *Node) Watch(context.Context, chat.PersonID, bool) error { return notYet() }
