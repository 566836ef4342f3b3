/*
 * Agreement and exactly once: classic rounds with retries, adoption, and quorum reads. No time: nothing expires and
 * nothing is forgotten (that is forgetting.pml).
 *
 * An operation's change function is arbitrary: at each attempt it may write or not. `attempt[b].history` is the set of
 * operations that went into the value of ballot b: the lineage, complete, since nothing is old here. An operation is
 * named by the ballot of its first attempt.
 *
 * BALLOTS: each attempt takes one. Four are two attempts of each of two operations, or three of one beside a reader by
 * classic round: what adoption, a retry and a loss between them need; a fifth would mean some eighty times the states. With
 * quorum reads, which mean as many times, it is three: a value, what replaces it, and who finishes either.
 * UNDER_WAY: operations at a time, that is proposers. As those that gave up leave their messages behind, more than two
 * take part in what happens.
 */
#ifndef BALLOTS
#define BALLOTS 4
#endif
#ifndef UNDER_WAY
#define UNDER_WAY 2
#endif

typedef Attempt {
  byte phase;
  byte operation;
  byte toldBefore;      /* ghost: highest ballot that any caller was told of when the operation was called */
  byte bound;           /* no ends here: 0 */
  byte horizon;
  bit isSent;           /* whether its accept was sent */
  bit isCommitted;      /* whether its commit was sent */
  byte history;
  byte ancestors;       /* ghost: ballots of the values that this one was built on */
  bit isTwice;          /* ghost: some operation went in twice */
  byte toldAt;          /* ghost, at the ballot that names an operation: ballot by which its caller was told it went in */
};

Attempt attempt[BALLOTS + 1];

byte underWay;
byte told;              /* ghost: highest ballot that any caller was told of */
byte denied;            /* ghost: operations whose callers were told that they changed nothing */
#ifdef READS
bit isReading;
byte toldBeforeRead;    /* ghost */
#endif

#define CLEAR_MORE now.isExposed = 0
#define REDUCE
/* Whether it matters who accepts this ballot: always, for what is chosen has to be known for good. */
#define WATCHED(b) true
#include "acceptor.pml"

scratch isExposed;

/* P3: what is chosen at a higher ballot builds on what is chosen at a lower one. P4: no operation is in it twice, none
   that was said to change nothing, and all that were said to be in. */
inline check_chosen(b) {
  if
  :: IS_CHOSEN(b) ->
    CLAIM(!attempt[b].isTwice, "broken: an operation is in a chosen value twice\n");
    CLAIM((attempt[b].history & denied) == 0, "broken: an operation that was said to change nothing is chosen\n");
    for (k : 1 .. BALLOTS) {
      if
      :: k != b && attempt[k].isSent && IS_CHOSEN(k) ->
        CLAIM((k < b -> HAS(attempt[b].ancestors, k) : HAS(attempt[k].ancestors, b)),
          "broken: two chosen values, and the higher does not build on the lower\n")
      :: else
      fi;
      if
      :: attempt[k].toldAt != 0 && attempt[k].toldAt < b ->
        CLAIM(HAS(attempt[b].history, k), "broken: an operation that was answered is lost\n")
      :: else
      fi
    }
  :: else
  fi
}

/* The caller learns that its operation went in, by ballot b. */
inline tell_applied(b) {
  other = attempt[b].operation;
  attempt[other].toldAt = b;
  for (k : 1 .. BALLOTS) {
    if
    :: attempt[k].isSent && k > b && IS_CHOSEN(k) ->
      CLAIM(HAS(attempt[k].history, other), "broken: an operation that was answered is lost\n")
    :: else
    fi
  }
  told = MAX(told, b)
}

/* P5: no answer is older than one that was given before the question. Here the caller learns what it found in the value
   of ballot v, and that its operation changed nothing. */
inline tell_unchanged(b, v) {
  CLAIM(v >= attempt[b].toldBefore, "broken: a stale answer\n");
  other = attempt[b].operation;
  denied = denied | BIT(other);
  for (k : 1 .. BALLOTS) {
    if
    :: attempt[k].isSent && IS_CHOSEN(k) ->
      CLAIM(!HAS(attempt[k].history, other), "broken: an operation that is chosen is said to change nothing\n")
    :: else
    fi
  }
  told = MAX(told, v)
}

inline end_attempt(b) {
  attempt[b].phase = OVER;
  attempt[b].toldBefore = 0
}

inline start(b) {
  printf("operation %d: prepare %d\n", b, b);
  attempt[b].phase = PREPARING;
  attempt[b].operation = b;
  attempt[b].toldBefore = told;
  underWay++
}

/* R9: the next attempt takes a new ballot. */
inline retry(b, next) {
  printf("operation %d: gives ballot %d up, prepare %d\n", attempt[b].operation, b, next);
  attempt[next].phase = PREPARING;
  attempt[next].operation = attempt[b].operation;
  attempt[next].toldBefore = attempt[b].toldBefore;
  close_first_phase(b);
  end_attempt(b);
  NORMALISE
}

/* No quorum if no accept was sent, else unknown. What was sent stays sent. */
inline give_up(b) {
  printf("operation %d: gives up at ballot %d\n", attempt[b].operation, b);
  close_first_phase(b);
  end_attempt(b);
  underWay--;
  NORMALISE
}

/* Phase 1 is complete, by the promises of i and j. */
inline propose(b, i, j, writes) {
  /* P2: one value a ballot. */
  CLAIM(!attempt[b].isSent, "broken: a second value at one ballot\n");
  found = PICKED(PROMISED(b, i), PROMISED(b, j));
  isCertain = PICKED_IS_CHOSEN(PROMISED(b, i), PROMISED(b, j));
#ifdef NOTHING_ADOPTED
  found = (isCertain -> found : 0);
#endif
  isExposed = 0;
  for (k : 1 .. BALLOTS) {
    if
    :: attempt[k].operation == attempt[b].operation && attempt[k].isSent -> isExposed = 1
    :: else
    fi
  }
  isWrite = writes;
  /* R10: an operation that has sent an accept looks for itself in the lineage; found, it is not done again, but what was
     found is proposed again. */
  if
#ifndef LINEAGE_IGNORED
  :: isExposed && HAS(attempt[found].history, attempt[b].operation) -> isWrite = 0
#endif
  :: else
  fi;
  close_first_phase(b);
  if
#ifdef FOUND_IS_CHOSEN
  :: isExposed && HAS(attempt[found].history, attempt[b].operation) ->
    printf("operation %d: finds itself in %d (by #%d and #%d): answered\n", attempt[b].operation, found, i + 1, j + 1);
    tell_applied(found);
    end_attempt(b);
    underWay--
#endif
  /* R11: an answer without a change needs no second phase if no accept was sent and what it rests on is certain. */
#ifdef UNCERTAIN_ANSWERED
  :: !isWrite && !isExposed ->
#else
  :: !isWrite && !isExposed && (found == 0 || isCertain) ->
#endif
    printf("operation %d: finds %d (by #%d and #%d): answered\n", attempt[b].operation, found, i + 1, j + 1);
    tell_unchanged(b, found);
    end_attempt(b);
    underWay--
  :: else ->
    attempt[b].phase = PROPOSED;
    attempt[b].isSent = 1;
    attempt[b].isTwice = attempt[found].isTwice || (isWrite && HAS(attempt[found].history, attempt[b].operation));
    attempt[b].history = attempt[found].history;
    attempt[b].ancestors = attempt[found].ancestors;
    if
    :: isWrite ->
      attempt[b].history = attempt[b].history | BIT(attempt[b].operation);
      printf("operation %d: finds %d (by #%d and #%d), accept %d with a change\n",
        attempt[b].operation, found, i + 1, j + 1, b)
    :: else ->
      printf("operation %d: finds %d (by #%d and #%d), accept %d, the same again\n",
        attempt[b].operation, found, i + 1, j + 1, b)
    fi;
    if
    :: found != 0 -> attempt[b].ancestors = attempt[b].ancestors | BIT(found)
    :: else
    fi
  fi;
  NORMALISE
}

/* R12: with `accepted` of a majority it is chosen: the caller is answered and everybody told. */
inline complete(b) {
  printf("operation %d: %d is chosen: answered\n", attempt[b].operation, b);
  attempt[b].isCommitted = 1;
  if
  :: HAS(attempt[b].history, attempt[b].operation) -> tell_applied(b)
  :: else -> tell_unchanged(b, b)
  fi;
  end_attempt(b);
  underWay--;
  NORMALISE
}

#ifdef READS
inline end_read() {
  isReading = 0;
  toldBeforeRead = 0;
  acceptors[0].reading = 0;
  acceptors[1].reading = 0;
  acceptors[2].reading = 0;
  NORMALISE
}

inline answer_read(a) {
  printf("acceptor #%d: answers the read, holds %d\n", a + 1, acceptors[a].value);
  acceptors[a].reading = REPORT(a);
  NORMALISE
}

/* R13: a quorum read is answered if what it finds is certain to be chosen, or nobody of a majority holds anything; else
   it ends without an answer (a classic round follows: an operation like any other). Two answers of three tell as much as
   all three: a majority holds the highest value, or one that knows does. */
inline finish_read(i, j) {
  found = PICKED(acceptors[i].reading, acceptors[j].reading);
  printf("read: finds %d (by #%d and #%d): answered\n", found, i + 1, j + 1);
  CLAIM(found >= toldBeforeRead, "broken: a stale read\n");
  told = MAX(told, found);
  end_read()
}

#ifdef READ_UNSETTLED
#define IS_SETTLED(i, j) true
#else
#define IS_SETTLED(i, j) PICKED_IS_CHOSEN(acceptors[i].reading, acceptors[j].reading)
#endif
#define FINISH_READ(b, i, j, x) \
  :: d_step { acceptors[i].reading != 0 && acceptors[j].reading != 0 && IS_SETTLED(i, j) -> finish_read(i, j) }

proctype reader() {
end:
  do
  :: d_step { !isReading -> printf("read\n"); isReading = 1; toldBeforeRead = told }
  FOR_EACH_QUORUM(FINISH_READ, 0, 0)
  :: d_step { isReading -> end_read() }
  od
}
#endif

#define PROMISE(b) :: d_step { MAY_PROMISE(me, b) -> promise(me, b) }
#define ACCEPT(b) :: d_step { MAY_ACCEPT(me, b) -> accept(me, b); check_chosen(b); NORMALISE }
#define LEARN(b) :: d_step { MAY_LEARN(me, b) -> learn(me, b) }

proctype acceptor(byte me) {
end:
  do
  FOR_EACH_BALLOT(PROMISE)
  FOR_EACH_BALLOT(ACCEPT)
  FOR_EACH_BALLOT(LEARN)
#ifdef READS
  :: d_step { isReading && acceptors[me].reading == 0 -> answer_read(me) }
#endif
  od
}

#define START(b) :: d_step { attempt[b].phase == UNUSED && underWay < UNDER_WAY -> start(b) }
#define RETRY_AT(b, next) \
  :: d_step { (attempt[b].phase == PREPARING || attempt[b].phase == PROPOSED) && attempt[next].phase == UNUSED -> \
       retry(b, next) }
#define GIVE_UP(b) \
  :: d_step { attempt[b].phase == PREPARING || attempt[b].phase == PROPOSED -> give_up(b) }
#define PROPOSE_BY(b, i, j, writes) :: d_step { HAS_PROMISES(b, i, j) -> propose(b, i, j, writes) }
#define PROPOSE(b) FOR_EACH_QUORUM(PROPOSE_BY, b, 0) FOR_EACH_QUORUM(PROPOSE_BY, b, 1)
#define COMPLETE(b) :: d_step { attempt[b].phase == PROPOSED && IS_CHOSEN(b) -> complete(b) }

proctype proposers() {
end:
  do
  FOR_EACH_BALLOT(START)
  FOR_EACH_BALLOT(GIVE_UP)
  FOR_EACH_BALLOT(PROPOSE)
  FOR_EACH_BALLOT(COMPLETE)
  RETRY_AT(1, 2)
#if BALLOTS > 2
  RETRY_AT(1, 3)
  RETRY_AT(2, 3)
#endif
#if BALLOTS > 3
  RETRY_AT(1, 4)
  RETRY_AT(2, 4)
  RETRY_AT(3, 4)
#endif
#if BALLOTS > 4
  RETRY_AT(1, 5)
  RETRY_AT(2, 5)
  RETRY_AT(3, 5)
  RETRY_AT(4, 5)
#endif
  od
}

init {
  atomic {
    run acceptor(0);
    run acceptor(1);
    run acceptor(2);
#ifdef READS
    run reader();
#endif
    run proposers()
  }
}
