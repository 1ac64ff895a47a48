package journal

import "time"

// flush starts to make what is written durable, beside the writing, unless a flush
// is under way or one has just been; it reports whether it did.
func (j *Journal) flush() bool {
	select {
	case j.flusher <- struct{}{}:
	default:
		return false
	}
	if time.Since(j.flushedAt) < flushEvery {
		<-j.flusher
		return false
	}
	j.flushedAt = time.Now()
	j.flushing.Go(func() {
		err := j.file.Sync()
		j.mu.Lock()
		if err != nil {
			j.fail(err) // until the next write
		}
		j.mu.Unlock()
		<-j.flusher
	})
	return true
}
