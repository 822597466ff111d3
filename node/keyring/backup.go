package keyring

import (
	"bufio"
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"earshot/chat"
)

// A backup is a header in clear and a stream of encrypted chunks. The header is a
// line that says what it is and its version, the cost of the passphrase's
// derivation, a salt, a value by which a wrong passphrase is noticed, and a
// checksum:
//
//	"earshot backup 1\n" time(4) memory KiB(4) lanes(1) salt(16) check(16) sum(8)
//
// Every chunk but the last has 64 KiB of plain text, sealed by ChaCha20-Poly1305
// with the header as associated data and a nonce of the chunk's number (11 bytes,
// big-endian) and a 1 for the last, else 0 (as in age's STREAM). The plain text is
//
//	length(4) contents history signature(64)
//
// contents is JSON; history is the database, still encrypted under the store key,
// which is in contents; the signature is the device's, over all before it.
const (
	backupMark    = "earshot backup "
	backupVersion = '1'
	headerSize    = len(backupMark) + 2 + 4 + 4 + 1 + saltSize + 16 + 8
	chunkSize     = 64 << 10

	domainBackup      = "earshot/v1 backup: chunks"
	domainBackupCheck = "earshot/v1 backup: check"
	domainBackupSign  = "earshot/v1 backup: signature\x00"
)

// backupContents is what a backup holds besides the history.
type backupContents struct {
	Created  time.Time       `json:"created"`
	StoreKey []byte          `json:"store_key"`
	Keys     json.RawMessage `json:"keys"` // as in the key file
	Name     string          `json:"name"`
	History  int64           `json:"history"` // bytes
}

// maxContents bounds the contents, in bytes.
const maxContents = maxSmallFile

// WriteBackup writes a backup of who lives in a home: keys, name and the history
// of size bytes that r yields, encrypted under a passphrase and signed.
func WriteBackup(w io.Writer, keys Keys, pass []byte, r io.Reader, size int64, now time.Time) error {
	if err := checkPassphrase(pass); err != nil {
		return err
	}
	identity, err := keys.encode()
	if err != nil {
		return err
	}
	contents, err := json.Marshal(backupContents{
		Created: now.UTC().Truncate(time.Second), StoreKey: keys.secret[:], Keys: identity, Name: keys.Name, History: size,
	})
	if err != nil {
		return err
	}
	out, err := newChunkWriter(w, pass)
	if err != nil {
		return err
	}
	digest := sha512.New()
	signed := io.MultiWriter(out, digest)
	if _, err := signed.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(contents))), contents...)); err != nil {
		return err
	}
	if n, err := io.Copy(signed, io.LimitReader(r, size)); err != nil {
		return err
	} else if n != size {
		return io.ErrUnexpectedEOF
	}
	if _, err := out.Write(ed25519.Sign(keys.Device, signedBackup(digest))); err != nil {
		return err
	}
	return out.close()
}

func signedBackup(digest hash.Hash) []byte { return digest.Sum([]byte(domainBackupSign)) }

// CheckBackup reads a backup to its end and reports what is wrong with it.
func CheckBackup(ctx context.Context, r io.Reader, opt Options) error {
	b, err := openBackup(ctx, r, &opt)
	if err != nil {
		return err
	}
	return b.readHistory(ctx, io.Discard)
}

// backup is one that is being read.
type backup struct {
	contents backupContents
	keys     Keys
	plain    io.Reader
	digest   hash.Hash
	pass     []byte
}

// openBackup reads a backup up to its history.
func openBackup(ctx context.Context, r io.Reader, opt *Options) (*backup, error) {
	r = bufio.NewReaderSize(r, chunkSize+chacha20poly1305.Overhead)
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, brokenBackup(err, "it is cut short, or no backup of Earshot's")
	}
	cost, err := checkHeader(header)
	if err != nil {
		return nil, err
	}
	key, pass, err := backupKey(ctx, header, cost, opt)
	if err != nil {
		return nil, err
	}
	b := &backup{digest: sha512.New(), pass: pass}
	b.plain = &chunkReader{r: r, aead: mustAEAD(key), header: header}
	var n [4]byte
	if err := b.read(n[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(n[:])
	if size > maxContents {
		return nil, brokenBackup(nil, "its contents are too large")
	}
	contents := make([]byte, size)
	if err := b.read(contents); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(contents, &b.contents); err != nil {
		return nil, brokenBackup(err, "its contents can't be read")
	}
	if b.keys, err = decodeKeys(b.contents.Keys); chat.CodeOf(err) == chat.CodeHomeNewer {
		return nil, err
	} else if err != nil {
		return nil, brokenBackup(err, err.Error())
	}
	if len(b.contents.StoreKey) != secretSize || b.contents.History < 0 {
		return nil, brokenBackup(nil, "its contents are incomplete")
	}
	b.keys.secret = secret(b.contents.StoreKey)
	return b, nil
}

// read reads what is signed.
func (b *backup) read(p []byte) error {
	if _, err := io.ReadFull(b.plain, p); err != nil {
		return streamBroken(err)
	}
	_, _ = b.digest.Write(p) // never fails
	return nil
}

// readHistory reads the rest: the history, the signature and the end.
func (b *backup) readHistory(ctx context.Context, w io.Writer) error {
	in := io.TeeReader(io.LimitReader(b.plain, b.contents.History), b.digest)
	n, err := io.Copy(w, &interruptible{ctx, in})
	if err != nil {
		return streamBroken(err)
	}
	signature := make([]byte, ed25519.SignatureSize)
	if n == b.contents.History {
		_, err = io.ReadFull(b.plain, signature)
	} else {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return streamBroken(err)
	}
	if !ed25519.Verify(b.keys.Cert.Device[:], signedBackup(b.digest), signature) {
		return brokenBackup(nil, "it is not signed by the device whose it says it is")
	}
	if n, err := b.plain.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		return brokenBackup(err, "something follows its end")
	}
	return nil
}

type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

// streamBroken says what a failure to read the chunks means. Errors of the file that
// the history is written to, and of a context, pass.
func streamBroken(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return brokenBackup(err, "it is cut short, or was changed")
	case errors.Is(err, errUnsealed):
		return brokenBackup(err, "a part of it was changed")
	}
	return err
}

func brokenBackup(cause error, why string) error {
	return chat.Wrap(chat.CodeBackup, cause, "The backup is damaged: "+why+".", "Use another copy of it, or an older backup.")
}

func checkHeader(header []byte) (c kdfCost, err error) {
	version := header[len(backupMark)]
	rest := header[len(backupMark)+1:]
	body, sum := header[:headerSize-8], header[headerSize-8:]
	want := sha256.Sum256(body)
	switch {
	case !bytes.HasPrefix(header, []byte(backupMark)):
		return c, chat.Errorf(chat.CodeBackup, "This file is no backup of Earshot's. Name one that `earshot backup` made.")
	case version > backupVersion && version <= '9' && rest[0] == '\n':
		return c, chat.Errorf(chat.CodeHomeNewer, "The backup was written by a newer Earshot (format %c, this one reads up to %c). Update Earshot.", version, backupVersion)
	case version != backupVersion || !bytes.Equal(sum, want[:8]):
		return c, brokenBackup(nil, "its header was changed")
	}
	c = kdfCost{binary.BigEndian.Uint32(rest[1:]), binary.BigEndian.Uint32(rest[5:]), rest[9]}
	if c.time < 1 || c.time > maxTime || c.memory < 1 || c.memory > maxMemory || c.lanes < 1 || c.lanes > maxLanes {
		return c, brokenBackup(nil, "its header asks for more than this program gives")
	}
	return c, nil
}

// backupKey returns the key of the chunks, once somebody knows the passphrase.
func backupKey(ctx context.Context, header []byte, c kdfCost, opt *Options) (key, pass []byte, err error) {
	at := headerSize - 8 - 16
	salt, check := header[at-saltSize:at], header[at:at+16]
	try := func(pass []byte) []byte {
		chunks, got := backupKeys(passphraseKey(pass, salt, c))
		if !bytes.Equal(got, check) {
			return nil
		}
		return chunks
	}
	tries := maxTries
	for i := 0; i < tries; i++ {
		switch {
		case opt.Given != nil:
			pass, tries = opt.Given, 1
		case opt.Ask == nil:
			return nil, nil, chat.Errorf(chat.CodePassphrase, "There is no terminal to ask for the backup's passphrase. Name a file that holds it with --passphrase-file.")
		default:
			if pass, err = opt.Ask(ctx, i); err != nil {
				return nil, nil, err
			}
		}
		if len(pass) <= maxPassphrase {
			if key := try(pass); key != nil {
				return key, pass, nil
			}
		}
	}
	return nil, nil, chat.Errorf(chat.CodePassphrase, "That is not the passphrase of this backup. Try again; without it, nobody can open the backup.")
}

func backupKeys(key []byte) (chunks, check []byte) {
	chunks, err1 := hkdf.Expand(sha256.New, key, domainBackup, secretSize)
	check, err2 := hkdf.Expand(sha256.New, key, domainBackupCheck, 16)
	if err := errors.Join(err1, err2); err != nil {
		panic(err) // only for lengths that HKDF can't make
	}
	return chunks, check
}

func mustAEAD(key []byte) cipher.AEAD {
	aead, err := chacha20poly1305.New(key)
	if err != nil {
		panic(err) // only for a wrong length of key
	}
	return aead
}

// nonce is of the chunk with this number.
func nonce(number uint64, last bool) []byte {
	n := make([]byte, chacha20poly1305.NonceSize)
	binary.BigEndian.PutUint64(n[3:11], number)
	if last {
		n[11] = 1
	}
	return n
}

type chunkWriter struct {
	w      io.Writer
	aead   cipher.AEAD
	header []byte
	number uint64
	buf    []byte
	out    []byte
}

func newChunkWriter(w io.Writer, pass []byte) (*chunkWriter, error) {
	h := append([]byte(backupMark), backupVersion, '\n')
	h = binary.BigEndian.AppendUint32(h, newCost.time)
	h = binary.BigEndian.AppendUint32(h, newCost.memory)
	h = append(h, newCost.lanes)
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt)
	key, check := backupKeys(passphraseKey(pass, salt, newCost))
	h = append(append(h, salt...), check...)
	sum := sha256.Sum256(h)
	h = append(h, sum[:8]...)
	if _, err := w.Write(h); err != nil {
		return nil, err
	}
	return &chunkWriter{w: w, aead: mustAEAD(key), header: h, buf: make([]byte, 0, chunkSize)}, nil
}

func (c *chunkWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(c.buf) == chunkSize { // only now is it known not to be the last
			if err := c.flush(false); err != nil {
				return 0, err
			}
		}
		k := min(len(p), chunkSize-len(c.buf))
		c.buf, p = append(c.buf, p[:k]...), p[k:]
	}
	return n, nil
}

func (c *chunkWriter) flush(last bool) error {
	c.out = c.aead.Seal(c.out[:0], nonce(c.number, last), c.buf, c.header)
	c.number++
	c.buf = c.buf[:0]
	_, err := c.w.Write(c.out)
	return err
}

func (c *chunkWriter) close() error { return c.flush(true) }

// chunkReader yields the plain text. io.EOF comes only behind the last chunk.
type chunkReader struct {
	r      io.Reader
	aead   cipher.AEAD
	header []byte
	number uint64
	left   []byte // of the chunk
	buf    []byte
	last   bool
}

func (c *chunkReader) Read(p []byte) (int, error) {
	for len(c.left) == 0 {
		if c.last {
			return 0, io.EOF
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.left)
	c.left = c.left[n:]
	return n, nil
}

func (c *chunkReader) next() error {
	if c.buf == nil {
		c.buf = make([]byte, chunkSize+chacha20poly1305.Overhead)
	}
	n, err := io.ReadFull(c.r, c.buf)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF // the last chunk is missing
		}
		return err
	}
	sealed := c.buf[:n]
	// Whether a chunk is the last one is known from what authenticates it.
	plain, err := c.aead.Open(nil, nonce(c.number, false), sealed, c.header)
	if err != nil {
		if plain, err = c.aead.Open(nil, nonce(c.number, true), sealed, c.header); err != nil {
			if n < len(c.buf) {
				return io.ErrUnexpectedEOF // more likely cut off than changed
			}
			return errUnsealed
		}
		c.last = true
		if k, _ := c.r.Read(make([]byte, 1)); k != 0 {
			return errUnsealed // something was put behind it
		}
	}
	c.left = plain
	c.number++
	return nil
}
