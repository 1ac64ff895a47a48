package transfer

import "context"

// Progress says how far one file has come. The last one about a file has
// Verified set or Refused.
type Progress struct {
	Node, File string // File is its Name
	Phase      string // Receiving, Checking or Hashing
	Done, Size int64  // bytes, of that phase
	Verified   bool
	Refused    string // why the file is not taken
	Damaged    int    // chunks with a wrong checksum and files with a wrong hash, so far
}

// What is being done with a file.
const (
	Receiving = "receiving" // its chunks arrive
	Checking  = "checking"  // what an earlier process has kept of it is compared with its checksums
	Hashing   = "hashing"   // it is complete, and its SHA-256 is computed
)

// newest keeps the latest Progress of each file until it is read: a slow reader
// misses steps but no file.
type newest struct {
	put chan Progress
	get chan Progress
}

func newNewest() newest { return newest{put: make(chan Progress), get: make(chan Progress)} }

// run passes Progress on until ctx ends.
func (n newest) run(ctx context.Context) {
	waiting := map[string]Progress{}
	var order []string
	for {
		var out chan Progress
		var first Progress
		if len(order) > 0 {
			out, first = n.get, waiting[order[0]]
		}
		select {
		case p := <-n.put:
			if _, known := waiting[p.File]; !known {
				order = append(order, p.File)
			}
			waiting[p.File] = p
		case out <- first:
			delete(waiting, order[0])
			order = order[1:]
		case <-ctx.Done():
			return
		}
	}
}

// report puts p, unless ctx has ended.
func (n newest) report(ctx context.Context, p Progress) {
	select {
	case n.put <- p:
	case <-ctx.Done():
	}
}
