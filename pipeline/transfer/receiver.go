package transfer

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/pipeline/confine"
	"tsrun/pipeline/wire"
	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

const (
	maxConns     = 64
	maxStrangers = 64               // whose connections are written of in the log
	maxHashing   = 2                // files read back at once; each takes a core
	chunkTimeout = 30 * time.Second // for the bytes of a chunk whose head is here
	progressStep = 1 << 20          // bytes between two Progress of a file
	maxWhy       = 500              // bytes of what a node says of a file that it does not send
)

// Receiver receives files from every node it has admitted. Its methods may be
// called from any goroutine.
type Receiver struct {
	listener *zmtp.Listener
	log      *slog.Logger
	progress newest
	hashing  chan bool // holds one value for each file being read back
	keep     int64

	strangers atomic.Int64 // whose connections ended

	life    context.Context // ends with Close
	stop    context.CancelFunc
	running sync.WaitGroup
	looks   sync.WaitGroup // goroutines that read files back
	settled atomic.Bool    // no more of them begin

	mu       sync.Mutex
	sessions map[[16]byte]*session
}

// NewReceiver opens the files port at addr, host:port. Run receives what comes. A
// nil log writes nothing.
func NewReceiver(addr string, g wire.Guard, log *slog.Logger) (*Receiver, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l, err := zmtp.Listen("tcp", addr, zmq4.Pair, zmtp.Options{MaxConns: maxConns, MaxFrame: MaxChunk, Displace: true, Strangers: wire.StrangerTime, Security: g.Security, Refused: g.Refused})
	if err != nil {
		return nil, err
	}
	r := &Receiver{listener: l, log: log, progress: newNewest(), hashing: make(chan bool, maxHashing), sessions: map[[16]byte]*session{}}
	r.life, r.stop = context.WithCancel(context.Background())
	r.running.Go(func() { r.progress.run(r.life) })
	return r, nil
}

// KeepFree has so many bytes of a disk stay free: a file that would take of them is
// refused. It is called before any Admit.
func (r *Receiver) KeepFree(bytes int64) { r.keep = bytes }

// Addr returns the address listened on.
func (r *Receiver) Addr() net.Addr { return r.listener.Addr() }

// Progress returns the channel of what happens to files. A reader that is slow
// gets only the newest about each file; one that does not read holds up nothing.
func (r *Receiver) Progress() <-chan Progress { return r.progress.get }

// Admission lets a node send files.
type Admission struct {
	Token [16]byte // that it shows
	Node  string
	// Certified is the name that the sender's certificate has, where there are any:
	// wire.MasterName for a slave that the master has started. Empty: Node.
	Certified string
	Dir       string // the run directory; its files go below raw/NODE there
	Plan      Plan
	// Confined hears, once, whether what writes there can write nowhere else. nil:
	// nobody wants to know.
	Confined func(confine.Outcome)
}

// Admit lets a node send the files of a plan. A token that is known already stays
// what it was.
func (r *Receiver) Admit(a Admission) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions[a.Token] != nil {
		return
	}
	s := newSession(a, r.keep)
	r.sessions[a.Token] = s
	r.running.Go(func() {
		<-s.clerk.ready
		switch o := s.clerk.outcome; {
		case s.clerk.err != nil:
			r.log.Error("no file of a node can be taken", "node", a.Node, "error", s.clerk.err)
		case o.Confined:
			r.log.Info("receiver confined: a trial to write outside was refused", "node", a.Node, "writes", folderOf(a.Node))
		default:
			r.log.Info("receiver not confined but by os.Root", "node", a.Node, "why", o.Why)
		}
		if a.Confined != nil && s.clerk.err == nil {
			a.Confined(s.clerk.outcome)
		}
	})
}

// Bound changes how many bytes the files of a session may have together.
func (r *Receiver) Bound(token [16]byte, bytes int64) {
	if s := r.session(token); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.budget.Bound(bytes)
	}
}

func (r *Receiver) session(token [16]byte) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions[token]
}

// Run receives chunks until ctx ends or Close, and returns nil then.
func (r *Receiver) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.life, cancel)()
	r.listener.Serve(ctx, func(c *zmtp.Conn) {
		known := false
		err := r.receiveChunks(c, &known)
		if err != io.EOF && ctx.Err() == nil && (known || r.strangers.Add(1) <= maxStrangers) {
			r.log.Warn("file connection ended", "peer", c.RemoteAddr().String(), "error", err)
		}
	})
	return nil
}

// receiveChunks receives the chunks of one connection, which is known when it has
// shown a token, until it ends, and says of each that it was dealt with. A chunk that cannot be read ends it; one that
// cannot be used is dropped, and missed later.
func (r *Receiver) receiveChunks(c *zmtp.Conn, known *bool) error {
	var frame [headSize]byte
	var bytes, packed []byte
	var unpacker packer
	last := uint64(0)
	for {
		b, more, err := c.ReadFrame(frame[:])
		if err != nil {
			return err
		}
		h, err := decodeHead(b)
		if err != nil {
			return err
		}
		s := r.session(h.token)
		if s == nil {
			return errors.New("take chunk: its token belongs to no session")
		}
		if !(wire.Peer{Name: c.PeerName()}).MayBe(s.certified) {
			return fmt.Errorf("take chunk: the certificate of %s sends a file of node %s", wire.WhoseCertificate(c.PeerName()), s.node)
		}
		if !*known {
			*known = true
			c.Keep(s.node)
		}
		if !more {
			return errors.New("take chunk: its bytes are missing")
		}
		if h.number != last+1 {
			return fmt.Errorf("take chunk: it has number %d after %d", h.number, last)
		}
		last = h.number
		if int(h.length) > len(bytes) {
			bytes = make([]byte, h.length) // at most MaxChunk, and for a node that was admitted
		}
		chunk, whole := bytes[:h.length], true
		if h.packed {
			if len(packed) < len(bytes) {
				packed = make([]byte, len(bytes))
			}
			n, err := readBytes(c, packed[:h.length-1], 1)
			if err != nil {
				return err
			}
			whole = unpacker.unpack(chunk, packed[:n], int64(h.offset)) == nil
		} else if _, err := readBytes(c, chunk, len(chunk)); err != nil {
			return err
		}
		r.writeChunk(s, h, chunk, whole)
		if err := c.Send(sendTimeout, encodeCredit(h.number)); err != nil {
			return err
		}
	}
}

// readBytes reads the second and last frame of a chunk into b, of which it fills at
// least so many bytes.
func readBytes(c *zmtp.Conn, b []byte, least int) (n int, err error) {
	if err := c.SetReadDeadline(time.Now().Add(chunkTimeout)); err != nil {
		return 0, err
	}
	size, more, err := c.NextFrame()
	if err != nil {
		return 0, err
	}
	if size < uint64(least) || size > uint64(len(b)) || more {
		return 0, fmt.Errorf("take chunk: %d bytes came for %d", size, len(b))
	}
	if _, err := io.ReadFull(c, b[:size]); err != nil {
		return 0, err
	}
	return int(size), c.SetReadDeadline(time.Time{})
}

// writeChunk writes one chunk to its file, where it is undamaged and asked for.
func (r *Receiver) writeChunk(s *session, h head, b []byte, whole bool) {
	whole = whole && crc32.Checksum(b, tag.Castagnoli) == h.sum
	e := entry{int64(h.offset), h.length, h.sum}
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.files[h.file]
	if in == nil || in.state != receiving && in.state != checking || (Range{e.offset, int64(e.length)}).check(in.file.Size) != nil {
		return
	}
	if !whole {
		in.damaged++
		r.log.Warn("chunk damaged on its way; it is asked for again", "node", s.node, "file", in.file.Name, "offset", h.offset)
		r.reportProgress(s, in)
		return
	}
	gaps := in.lacks(e.span())
	if len(gaps) == 0 {
		return
	}
	in.busy = append(in.busy, e.span())
	s.mu.Unlock()
	err := in.write(b, e, gaps) // unlocked: a slow disk delays no answer
	s.mu.Lock()
	in.written(e.span(), gaps, err == nil)
	if err != nil {
		s.refuse(in, explain("write "+in.file.Name, err))
	}
	r.look(s, in)
}

// Ask answers a node's question about a file, which announces the file too:
// chunks of a file nobody asked about are dropped. The first question waits for
// the disk to make room; meanwhile others are answered, those about the same
// file with nothing yet.
func (r *Receiver) Ask(token [16]byte, f File) Answer {
	s := r.session(token)
	if s == nil {
		return Answer{Refused: "the token belongs to no session of this run"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	why := f.Withdrawn
	f.Path, f.Withdrawn = "", ""
	in := s.files[f.ID]
	if in == nil && why != "" {
		return Answer{Refused: withdrawn(why).Error()}
	}
	if in == nil {
		var err error
		if in, err = s.announce(f); err == nil {
			err = s.makeRoom(in)
		}
		if err != nil {
			r.log.Error("file refused", "node", s.node, "file", f.Name, "error", err)
			return Answer{Refused: err.Error()}
		}
		r.look(s, in)
	}
	if in.file != f {
		return Answer{Refused: fmt.Sprintf("file %d was announced as %s of %d bytes with SHA-256 %s", f.ID, in.file.Name, in.file.Size, in.file.SHA256)}
	}
	if why != "" && in.state != reserving {
		s.refuse(in, withdrawn(why))
		r.reportProgress(s, in)
	}
	return in.answer()
}

// withdrawn returns why a node does not send a file, as it says.
func withdrawn(why string) error {
	return errors.New("the node does not send it: " + strings.ToValidUTF8(why[:min(len(why), maxWhy)], ""))
}

// CertifiedAs returns the name on the certificate of whose session has a token; ok
// is false where none has.
func (r *Receiver) CertifiedAs(token [16]byte) (name string, ok bool) {
	if s := r.session(token); s != nil {
		return s.certified, true
	}
	return "", false
}

// NodeOf returns the node whose session has a token; ok is false where none has.
func (r *Receiver) NodeOf(token [16]byte) (node string, ok bool) {
	if s := r.session(token); s != nil {
		return s.node, true
	}
	return "", false
}

// Verified reports whether a file has been verified. It does not use the disk.
func (r *Receiver) Verified(token [16]byte, f File) bool {
	s := r.session(token)
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Path = ""
	in := s.files[f.ID]
	return in != nil && in.file == f && in.state == verified
}

// Settle ends the reading back of files, when Run has ended: what is verified then
// stands under its name, what is not is a .part, and that stays so.
func (r *Receiver) Settle() {
	r.settled.Store(true)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sessions {
		s.awaitTurn() // whoever has the session may just begin a look
	}
	r.looks.Wait()
}

// awaitTurn returns when whoever has the session has left it.
func (s *session) awaitTurn() {
	s.mu.Lock()
	defer s.mu.Unlock()
}

// Close closes the port and ends Run; nobody may ask any more. What has not been
// verified stays as .part.
func (r *Receiver) Close() error {
	r.stop()
	err := r.listener.Close()
	r.running.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sessions {
		s.close()
	}
	return err
}

// reportProgress reports how far a file is, when that is news. The caller holds s.mu.
func (r *Receiver) reportProgress(s *session, in *incoming) {
	p := Progress{Node: s.node, File: in.file.Name, Phase: Receiving, Done: in.got.bytes(), Size: in.file.Size,
		Verified: in.state == verified, Refused: in.why, Damaged: in.damaged}
	switch {
	case in.state == checking:
		p.Phase, p.Done = Checking, in.checked
	case in.state == verifying:
		p.Phase, p.Done = Hashing, in.hashed
	case p.Verified:
		p.Phase, p.Done = Hashing, p.Size
	}
	before := in.told
	before.Done = p.Done
	if p == before && p.Done-in.told.Done < progressStep && (p.Done < p.Size || in.told.Done == p.Done) {
		return
	}
	in.told = p
	r.progress.report(r.life, p)
}
