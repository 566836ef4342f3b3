/*
 * Claims of one slot out of five: the slot's register, decided and undecided claims, vectors, who votes as the holder.
 *
 * Of three slots a claim takes all others' holders, so nothing is decided that one of them does not know. Here three of
 * four decide, and a claim that one or two have accepted may die, be finished by another claimant, or be passed over.
 * The voters keep their memory, and nobody claims their slots: that is recovery.pml's matter, as is the register that all
 * this is for. What is said there of vectors, `held`, the network, ballots and standbys is so here.
 *
 * CLAIMS: attempts, each with a ballot and a process of its own. Three are one that is left undecided, one that finds it or
 * passes it over, and the next generation.
 */
#ifndef CLAIMS
#define CLAIMS 3
#endif
#define VOTERS 4

/* C1: a majority of all slots, out of the holders of the others. */
#ifdef HALF_OF_THE_OTHERS
#define QUORUM 2
#else
#define QUORUM 3
#endif

/* The defect's other half: claims that nobody has decided have to be in vectors, or no counter has two holders. */
#ifdef GENERATIONS_BY_COUNTER_ONLY
#define UNDECIDED_CLAIM_FENCES
#endif

/* Phases of a claim. */
#define UNUSED 0
#define PREPARING 1
#define SENT 2

/* States of its claimant. */
#define OUT 0
#define RECOVERING 1
#define VOTING 2
#define FENCED 3

typedef Claim {
  byte phase;
  byte vector;          /* V2: all that is counted is counted under this one */
  byte generation;      /* of the holder that it names, where it found no newer one */
  byte value;           /* the claim whose claimant its accept names: itself, or one that it found */
  byte state;           /* the claimant's */
  byte view;            /* the claimant's vector, once it holds the slot */
};

/* One voter: the holder of one of the other slots. Columns of equal voters can be exchanged. */
typedef Voter {
  byte vector;
  byte promised;
  byte accepted;
  byte answer[CLAIMS + 1];  /* the `promised` messages: what was accepted */
  byte votes;           /* set of claims: the `accepted` messages */
  byte readBy;          /* set of the claimants that have read it out */
};

Claim claim[CLAIMS + 1];
Voter voters[VOTERS];
byte held;              /* set of vectors */
byte decided;           /* ghost: set of claims whose claimant was chosen */

/* As in acceptor.pml. */
#ifdef SHORTEST
#define scratch byte
#else
#define scratch hidden byte
#endif
scratch k;
scratch n;
scratch count;
scratch found;

#define BIT(b) (1 << ((b) - 1))
#define HAS(set, b) (((set) >> ((b) - 1)) & 1)
#define MAX(x, y) ((x) > (y) -> (x) : (y))
#define HIGHEST(set) ((set) >= 4 -> 3 : ((set) >= 2 -> 2 : (set)))
#define IS_HELD(v) ((held >> (v)) & 1)
#define GENERATION(v) ((v) == 0 -> 1 : claim[HIGHEST(v)].generation)
#define NAMES(v, c) (HIGHEST(v) == c)

/* V1: same vectors. One holder is told from another by its process too. */
#ifdef GENERATIONS_BY_COUNTER_ONLY
#define IS_SAME(v, w) (GENERATION(v) == GENERATION(w))
#define IS_NEWER(v, w) (GENERATION(v) > GENERATION(w))
#define MERGED(v, w) (v)
#else
#define IS_SAME(v, w) ((v) == (w))
#define IS_NEWER(v, w) (((v) | (w)) != (w))
#define MERGED(v, w) ((v) | (w))
#endif

c_code {
  extern int readtrail;
  static void exchange(int i, int j) {
    if (memcmp(&now.voters[i], &now.voters[j], sizeof(now.voters[0])) > 0) {
      struct Voter column = now.voters[i];
      now.voters[i] = now.voters[j];
      now.voters[j] = column;
      if (readtrail) printf("exchange #%d #%d\n", i + 1, j + 1);
    }
  }
}
#ifdef SHORTEST
#define CLEAR now.k = now.n = now.count = now.found = 0
#else
#define CLEAR
#endif
#define NORMALISE \
  c_code { CLEAR; exchange(0, 1); exchange(1, 2); exchange(2, 3); exchange(0, 1); exchange(1, 2); exchange(0, 1); }

/* A property. What breaks it is said by the replay. */
#define PROPERTY(condition, broken) if :: (condition) :: else -> printf(broken); assert(false) fi
/* One that a defect may break at once: left out where it is to be seen what follows. */
#ifdef FOLLOWS_ONLY
#define NEARER(condition, broken) skip
#else
#define NEARER(condition, broken) PROPERTY(condition, broken)
#endif

/* P8: an undecided claim fences nobody. */
inline check_voter(a) {
  NEARER((voters[a].vector & ~decided) == 0, "broken: an answer under a vector with an undecided claim\n")
}

#define MAY_PROMISE(a, c) \
  (c > voters[a].promised && \
   (claim[c].phase == UNUSED || (claim[c].phase == PREPARING && IS_SAME(claim[c].vector, voters[a].vector))))

inline promise(a, c) {
  check_voter(a);
  if
  :: claim[c].phase == UNUSED ->
    printf("claim %d: prepare %d under vector %d\n", c, c, voters[a].vector);
    claim[c].phase = PREPARING;
    claim[c].vector = voters[a].vector
  :: else
  fi;
  printf("acceptor #%d: promised claim %d, holds %d\n", a + 1, c, voters[a].accepted);
  voters[a].promised = c;
  voters[a].answer[c] = 128 | voters[a].accepted;
  count = 0;
  found = 0;
  for (n : 0 .. VOTERS - 1) {
    count = count + (voters[n].answer[c] >> 7);
    found = MAX(found, voters[n].answer[c] & 127)
  }
  if
  :: count == QUORUM ->
    for (n : 0 .. VOTERS - 1) {
      voters[n].answer[c] = 0
    }
    claim[c].phase = SENT;
    count = (found == 0 -> 1 : claim[claim[found].value].generation);
    /* P12: what was decided is found. */
    NEARER(count >= GENERATION(claim[c].vector), "broken: a decided claim is not found\n");
    if
    /* C1: a newer generation than is known is left, and settled. */
#ifdef NEWER_CLAIM_OVERWRITTEN
    :: false ->
#else
    :: count > GENERATION(claim[c].vector) ->
#endif
      claim[c].value = claim[found].value;
      printf("claim %d: finds %d, accept %d for standby %d\n", c, found, c, claim[c].value)
    :: else ->
      claim[c].value = c;
      claim[c].generation = GENERATION(claim[c].vector) + 1;
      printf("claim %d: finds %d, accept %d for generation %d\n", c, found, c, claim[c].generation)
    fi
  :: else
  fi;
  NORMALISE
}

/* P13: a generation has one holder, in all vectors. */
inline check_holders() {
  found = 0;
  for (k : 1 .. 7) {
    if
    :: IS_HELD(k) -> found = found | k
    :: else
    fi
  }
  for (k : 1 .. CLAIMS) {
    for (n : k + 1 .. CLAIMS) {
      NEARER(!(HAS(found, k) && HAS(found, n) && claim[k].generation >= claim[n].generation),
        "broken: two holders of one generation\n")
    }
  }
}

#define MAY_ACCEPT(a, c) \
  (claim[c].phase == SENT && IS_SAME(claim[c].vector, voters[a].vector) && c >= voters[a].promised && \
   !HAS(voters[a].votes, c))

inline accept(a, c) {
  check_voter(a);
  printf("acceptor #%d: accepted claim %d: standby %d\n", a + 1, c, claim[c].value);
  voters[a].promised = c;
  voters[a].accepted = c;
  voters[a].votes = voters[a].votes | BIT(c);
  count = 0;
  for (n : 0 .. VOTERS - 1) {
    count = count + HAS(voters[n].votes, c)
  }
  /* C3: that changes no vector. */
#ifdef UNDECIDED_CLAIM_FENCES
  voters[a].vector = MERGED(voters[a].vector, BIT(claim[c].value)) | BIT(claim[c].value);
  held = held | (1 << voters[a].vector);
#endif
  if
  /* C3: chosen, it is in the claimant's vector. */
  :: count >= QUORUM ->
    printf("claim %d: standby %d is chosen\n", c, claim[c].value);
    decided = decided | BIT(claim[c].value);
    held = held | (1 << (claim[c].vector | BIT(claim[c].value)))
  :: else
  fi;
  check_holders();
  NORMALISE
}

#define MAY_HEAR(a, v) (IS_HELD(v) && IS_NEWER(v, voters[a].vector))

inline hear(a, v) {
  printf("acceptor #%d: hears of vector %d\n", a + 1, v);
  voters[a].vector = MERGED(v, voters[a].vector);
  held = held | (1 << voters[a].vector);
  NORMALISE
}

/* The claimants. One that finds itself named holds the slot, and recovers. */

#define MAY_TAKE_UP(c, v) (claim[c].state == OUT && IS_HELD(v) && NAMES(v, c))

inline take_up(c, v) {
  printf("standby %d: holds the slot, vector %d, recovers\n", c, v);
  claim[c].state = RECOVERING;
  claim[c].view = v
}

#define IS_IN(c) (claim[c].state == RECOVERING || claim[c].state == VOTING)
#define MAY_LEARN(c, v) (IS_HELD(v) && IS_IN(c) && IS_NEWER(v, claim[c].view))

inline learn(c, v) {
  printf("standby %d: hears of vector %d\n", c, v);
  claim[c].view = MERGED(v, claim[c].view);
  held = held | (1 << claim[c].view);
  /* M2: under one and the same vector. */
  for (n : 0 .. VOTERS - 1) {
    voters[n].readBy = voters[n].readBy & ~BIT(c)
  }
  if
  /* V4: whoever is fenced stops. */
  :: !NAMES(claim[c].view, c) ->
    printf("standby %d: is fenced\n", c);
    claim[c].state = FENCED;
    claim[c].view = 0
  :: else
  fi;
  NORMALISE
}

/* M1: sources answer under the claimant's vector only, a majority of them. */
#define MAY_READ_OUT(c, a) \
  (claim[c].state == RECOVERING && IS_SAME(claim[c].view, voters[a].vector) && !HAS(voters[a].readBy, c))

inline read_out(c, a) {
  printf("standby %d: reads acceptor #%d\n", c, a + 1);
  voters[a].readBy = voters[a].readBy | BIT(c);
  count = 0;
  for (n : 0 .. VOTERS - 1) {
    count = count + HAS(voters[n].readBy, c)
  }
  if
  :: count == 3 ->
    printf("standby %d: votes\n", c);
    claim[c].state = VOTING;
    for (n : 0 .. VOTERS - 1) {
      voters[n].readBy = voters[n].readBy & ~BIT(c)
    }
    /* P14: of those that vote for a slot, no two do so in one generation. */
    for (k : 1 .. CLAIMS) {
      PROPERTY(!(k != c && claim[k].state == VOTING && GENERATION(claim[k].view) == GENERATION(claim[c].view)),
        "broken: two processes vote for one slot in one generation\n")
    }
  :: else
  fi;
  NORMALISE
}

/* Choices, spelled out: within a d_step the first one possible would be taken. */
#if CLAIMS == 2
#define FOR_EACH_CLAIM(step) step(1) step(2)
#define FOR_EACH_VECTOR(step) step(1) step(2) step(3)
#else
#define FOR_EACH_CLAIM(step) step(1) step(2) step(3)
#define FOR_EACH_VECTOR(step) step(1) step(2) step(3) step(4) step(5) step(6) step(7)
#endif

#define PROMISE(c) :: d_step { MAY_PROMISE(me, c) -> promise(me, c) }
#define ACCEPT(c) :: d_step { MAY_ACCEPT(me, c) -> accept(me, c) }
#define HEAR(v) :: d_step { MAY_HEAR(me, v) -> hear(me, v) }
#define READ_OUT(c) :: d_step { MAY_READ_OUT(c, me) -> read_out(c, me) }

proctype voter(byte me) {
end:
  do
  FOR_EACH_CLAIM(PROMISE)
  FOR_EACH_CLAIM(ACCEPT)
  FOR_EACH_VECTOR(HEAR)
  FOR_EACH_CLAIM(READ_OUT)
  od
}

#define TAKE_UP(v) :: d_step { MAY_TAKE_UP(me, v) -> take_up(me, v) }
#define LEARN(v) :: d_step { MAY_LEARN(me, v) -> learn(me, v) }

proctype standby(byte me) {
end:
  do
  FOR_EACH_VECTOR(TAKE_UP)
  FOR_EACH_VECTOR(LEARN)
  od
}

init {
  atomic {
    held = 1;
    run voter(0);
    run voter(1);
    run voter(2);
    run voter(3);
    run standby(1);
    run standby(2);
#if CLAIMS > 2
    run standby(3)
#endif
  }
}
