package stream

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"earshot/chat"
)

// A frame is its length, 4 bytes big-endian, and that many bytes, at least 1 and
// at most chat.MaxFrame.
const headerSize = 4

// ErrFrame is returned for a length that the protocol does not allow, whoever
// announced it. Nothing was allocated for it.
var ErrFrame = errors.New("stream: a frame has a length that is not allowed")

func checkLength(n uint64) error {
	if n == 0 || n > chat.MaxFrame {
		return fmt.Errorf("%w: %d bytes, not 1 to %d", ErrFrame, n, chat.MaxFrame)
	}
	return nil
}

// appendFrame appends the frame of payload, whose length was checked, to b.
func appendFrame(b, payload []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	return append(b, payload...)
}

// readFrame reads one frame into new memory. Between the header, which may be
// long in coming, and the body, it calls body with the body's length. At the end
// of the stream it returns io.EOF, inside a frame io.ErrUnexpectedEOF.
func readFrame(r *bufio.Reader, body func(n int) error) ([]byte, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	length := uint64(binary.BigEndian.Uint32(header[:]))
	if err := checkLength(length); err != nil {
		return nil, err
	}
	if err := body(int(length)); err != nil {
		return nil, err
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return payload, nil
}
