package transfer

import (
	"crypto/rand"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"tsrun/pipeline/confine"
)

// clerk does all that has to do with names of files of one node: it makes, opens,
// renames and removes them, below the node's folder and nowhere else. It works on
// threads of its own, which have given their rights to everything else away; what
// they have opened is then read and written by anyone. There is one thread, and
// another for each file that has to wait for the disk.
type clerk struct {
	dir, node string
	jobs      chan func()
	ready     chan struct{} // closed when what follows is known

	root    *os.Root // of the folder
	err     error    // why there is none
	outcome confine.Outcome

	mu      sync.Mutex
	threads int
	working sync.WaitGroup
}

// hireAfter is how long a file waits for a thread that works on another.
const hireAfter = 20 * time.Millisecond

// newClerk starts the clerk of a node whose files belong below dir/raw/node.
func newClerk(dir, node string) *clerk {
	k := &clerk{dir: dir, node: node, jobs: make(chan func()), ready: make(chan struct{}), threads: 1}
	k.working.Go(func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its rights
		k.root, k.err = openFolder(dir, node)
		if k.err == nil {
			k.outcome = confineTo(dir, node, true)
		}
		close(k.ready)
		if k.err == nil && !k.outcome.Confined { // this thread may have lost rights that are needed
			k.working.Go(k.work)
			return
		}
		k.work()
	})
	return k
}

// openFolder opens a node's folder without following a link to it.
func openFolder(dir, node string) (*os.Root, error) {
	all, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer all.Close()
	folder := path.Join(rawDir, node)
	if err := all.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	return all.OpenRoot(folder)
}

// confineTo takes the calling thread's rights to all but a node's folder. For the
// first thread that is tried by files, one in the run directory itself, for others by
// listing that.
func confineTo(dir, node string, first bool) confine.Outcome {
	whole, err := filepath.Abs(dir)
	if err != nil {
		return confine.Outcome{Why: err.Error()}
	}
	folder := filepath.Join(whole, rawDir, node)
	rules := confine.Rules{Write: []string{folder}}
	if !first {
		return confine.Thread(rules, whole, "")
	}
	trial := ".trial-" + rand.Text()
	return confine.Thread(rules, filepath.Join(whole, trial+".tmp"), filepath.Join(folder, trial+partSuffix))
}

func (k *clerk) work() {
	for job := range k.jobs {
		job()
	}
}

// hire starts one more thread, as confined as the first; where that does not work
// the others do what there is.
func (k *clerk) hire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.threads >= maxUnderWay {
		return
	}
	k.threads++
	k.working.Go(func() {
		<-k.ready
		if k.outcome.Confined {
			runtime.LockOSThread() // as above
			if !confineTo(k.dir, k.node, false).Confined {
				k.mu.Lock()
				defer k.mu.Unlock()
				k.threads--
				return
			}
		}
		k.work()
	})
}

// do has f done, which uses root, and returns its error.
func (k *clerk) do(f func(root *os.Root) error) (err error) {
	done := make(chan struct{})
	job := func() {
		defer close(done)
		if err = k.err; err == nil {
			err = f(k.root)
		}
	}
	select {
	case k.jobs <- job:
	case <-time.After(hireAfter):
		k.hire()
		k.jobs <- job
	}
	<-done
	return err
}

// dismiss ends the clerk. Nobody may have anything done any more.
func (k *clerk) dismiss() {
	close(k.jobs)
	k.working.Wait()
	if k.root != nil {
		k.root.Close()
	}
}
