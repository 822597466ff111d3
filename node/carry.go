package node

import (
	"context"
	"io"

	"earshot/chat"
)

// CarryOut writes sealed entries, for others to read where the bytes are carried.
func (n *Node) CarryOut(context.Context, io.Writer) (chat.Carried, error) {
	return chat.Carried{}, notYet()
}

// CarryIn takes up what CarryOut wrote, here or elsewhere.
func (n *Node) CarryIn(context.Context, io.Reader) (chat.Carried, error) {
	return chat.Carried{}, notYet()
}
