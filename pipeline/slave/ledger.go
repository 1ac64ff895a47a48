package slave

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/journal"
	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// ledgerFile is the ledger of a session, beside its files.
const ledgerFile = run.JournalFile

// ledger is what a session keeps on its disk of what it has recorded, so that another
// process can deliver it. A nil one keeps nothing.
type ledger struct {
	journal *journal.Journal
	dir     string
}

// entry is one record of a ledger. One of its fields is set.
type entry struct {
	Welcome  *wire.Welcome       `json:"welcome,omitempty"`   // the first record
	Fired    *wire.Order         `json:"fired,omitempty"`     // there may be tags
	BeganNs  int64               `json:"began_ns,omitempty"`  // with Fired: the instant by this PC's clock, Unix time
	SharedNs *int64              `json:"shared_ns,omitempty"` // with Fired: what all that were timed are fired earlier alike
	News     *wire.News          `json:"news,omitempty"`      // but for lines of the log
	Counts   []fact.StreamCounts `json:"counts,omitempty"`    // how far the channels were
	KeptPs   map[uint16]uint64   `json:"kept_ps,omitempty"`   // with Counts: until when a stream is in closed files
	Recorded bool                `json:"recorded,omitempty"`
}

// newLedger makes the ledger of a session. One of a session before that recorded
// nothing makes room.
func newLedger(dir string, w *wire.Welcome) (*ledger, error) {
	path := filepath.Join(dir, ledgerFile)
	if h, err := readHeld(dir); err == nil && h.fired == nil {
		_ = os.Remove(path) // or it cannot be made
	}
	j, err := journal.Create(path)
	if err != nil {
		return nil, &sdk.Failure{Code: "data-directory", Message: err.Error(),
			Hint: "choose a writable place with --data on that PC, or free space there"}
	}
	l := &ledger{j, dir}
	l.keep(entry{Welcome: w})
	return l, nil
}

func (l *ledger) keep(e entry) uint64 {
	if l == nil {
		return 0
	}
	text, err := json.Marshal(e)
	if err != nil { // an entry holds nothing that cannot be encoded
		panic(err)
	}
	return l.journal.Append(text)
}

// keepNews keeps a piece of news, unless it is a line of the log.
func (l *ledger) keepNews(n wire.News) uint64 {
	if n.Log != nil {
		return 0
	}
	return l.keep(entry{News: &n})
}

// written reports whether a record outlives this process; without a ledger none does.
func (l *ledger) written(record uint64) bool {
	return l == nil || record == 0 || l.journal.Written(record)
}

// holdUntil keeps the disk quiet until a moment: a flush may take as long as the lead.
func (l *ledger) hold() {
	if l != nil {
		l.journal.Hold()
	}
}

func (l *ledger) releaseAt(at time.Time) {
	if l != nil {
		time.AfterFunc(time.Until(at), l.journal.Release)
	}
}

func (l *ledger) close() error {
	if l == nil {
		return nil
	}
	return l.journal.Close()
}

// held is what a directory has of a run that was not delivered.
type held struct {
	dir      string
	welcome  wire.Welcome
	fired    *wire.Order // nil: nothing was recorded
	began    int64       // Unix time in ns; 0: not known
	shared   *int64      // nil: each controller is fired earlier by its own
	news     []wire.News
	counts   []fact.StreamCounts
	kept     map[uint16]uint64
	recorded bool
}

// apply enters a record of the ledger.
func (h *held) apply(record []byte) error {
	var e entry
	if err := json.Unmarshal(record, &e); err != nil {
		return err
	}
	switch {
	case e.Welcome != nil:
		h.welcome = *e.Welcome
	case e.Fired != nil:
		h.fired, h.began, h.shared = e.Fired, e.BeganNs, e.SharedNs
	case e.News != nil:
		h.news = append(h.news, *e.News)
	case e.Counts != nil:
		h.counts = e.Counts
		if e.KeptPs != nil {
			h.kept = e.KeptPs
		}
	case e.Recorded:
		h.recorded = true
	}
	return nil
}

// readHeld reads a ledger that may be another process's.
func readHeld(dir string) (*held, error) {
	h := &held{dir: dir}
	err := journal.Read(filepath.Join(dir, ledgerFile), h.apply)
	return h, err
}

// patienceWithLock is how long another process, which ends, may keep a ledger.
const patienceWithLock = 15 * time.Second

// openHeld opens a ledger to go on with it.
func openHeld(dir string) (*held, *ledger, error) {
	var (
		h *held
		j *journal.Journal
	)
	err := run.LockWithin(patienceWithLock, func() (err error) {
		h = &held{dir: dir}
		j, err = journal.Open(filepath.Join(dir, ledgerFile), h.apply)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return h, &ledger{j, dir}, nil
}

// errEnough ends the reading of a ledger.
var errEnough = errors.New("enough is known")

// findHeld finds runs of which files of a node are kept in a data directory, the
// newest first.
func findHeld(data, node string) (found []*held) {
	dirs := runsOf(data, node)
	slices.SortFunc(dirs, func(a, b string) int { return changed(b).Compare(changed(a)) })
	for _, dir := range dirs {
		h := &held{dir: dir}
		err := journal.Read(filepath.Join(dir, ledgerFile), func(record []byte) error {
			if err := h.apply(record); err != nil || h.fired == nil {
				return err
			}
			return errEnough
		})
		if (err == nil || errors.Is(err, errEnough)) && h.fired != nil && len(found) < wire.MaxHeld {
			found = append(found, h)
		}
	}
	return found
}

// runDigits is how long a run's identifier is in the name of a directory.
const runDigits = 32

// runsOf lists the directories of a node's runs, RUN-NODE: those of another node whose
// name ends alike are not among them.
func runsOf(data, node string) []string {
	dirs, _ := filepath.Glob(filepath.Join(data, strings.Repeat("?", runDigits)+"-"+node)) // a node's name is no pattern
	return dirs
}

func changed(path string) (t time.Time) {
	if info, err := os.Stat(filepath.Join(path, ledgerFile)); err == nil {
		t = info.ModTime()
	}
	return t
}

// offers returns what this slave holds, as a master is told.
func (j *joiner) offers() (offers []wire.Held) {
	for _, h := range findHeld(j.options.Data, j.options.Node) {
		if token, ok := wire.ParseID(h.welcome.Token); ok {
			offers = append(offers, wire.Held{Run: h.welcome.Run, Proof: wire.Prove(token, wire.HeldBySlave, h.welcome.Run, j.options.Node, j.instance)})
		}
	}
	return offers
}

// removeLedger ends the ledger of a session of which nothing is to be delivered any more.
func (s *session) removeLedger() {
	if err := s.ledger.close(); err != nil {
		s.log.Warn("journal not closed", "error", err)
	}
	if err := os.Remove(filepath.Join(s.dir, ledgerFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("journal could not be removed", "error", fmt.Sprint(err))
	}
}
