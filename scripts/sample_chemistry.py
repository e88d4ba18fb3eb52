"""Random organic molecules that a chemist would expect in a bottle.

Rings, linkers, chains and substituents, listed below, are joined at random. What breaks one of the rules is
dropped, and so is what is hard to make by the synthetic accessibility score (doi:10.1186/1758-2946-1-8).
"""

import collections
import pathlib
import random
import sys
from collections.abc import Iterator

from rdkit import Chem, RDConfig
from rdkit.Chem import rdMolHash
from rdkit.Chem.Scaffolds import MurckoScaffold

sys.path.append(str(pathlib.Path(RDConfig.RDContribDir) / "SA_Score"))
import sascorer  # type: ignore[import-not-found]

HEAVY_ATOMS = range(5, 25)
HARDEST_SYNTHESIS = 4.0  # synthetic accessibility: 1 is easy, 10 hopeless


def _listed(text: str) -> list[str]:
    return text.split()


# Each list runs from common to rare, and is drawn from with falling weights. `*` is an open end.
AROMATIC_RINGS = _listed("""
c1ccccc1 c1ccncc1 c1ccsc1 c1ccoc1 c1cncnc1 c1cc[nH]c1 c1c[nH]cn1 c1cn[nH]c1 c1cscn1 c1cnccn1 c1cocn1
c1ccnnc1 c1cnoc1 c1nncs1 c1nnco1 c1cnsc1
""")
FUSED_RINGS = _listed("""
c1ccc2ccccc2c1 c1ccc2[nH]ccc2c1 c1ccc2ncccc2c1 c1ccc2c(c1)OCO2 c1ccc2occc2c1 c1ccc2[nH]cnc2c1
c1ccc2scnc2c1 c1ccc2sccc2c1 c1ccc2nccnc2c1 c1ccc2cnccc2c1 c1ccc2c(c1)CCC2 c1ccc2c(c1)CCCC2
O=c1ccc2ccccc2o1 O=c1ccoc2ccccc12 c1ccc2ncncc2c1 c1ccc2ocnc2c1 c1ccc2[nH]ncc2c1 c1ccc2c(c1)CCN2
c1ccc2c(c1)CCO2 c1ccc2c(c1)OCCO2 c1ccc2c(c1)[nH]c1ccccc12 c1ccc2cc3ccccc3cc2c1 c1ccc2c(c1)Cc1ccccc12
c1ccc2c(c1)sc1ccccc12 c1cnc2[nH]ccc2c1 c1ccn2ccnc2c1 c1csc2ccsc12 O=c1cc[nH]c2ccccc12
O=C1NCc2ccccc12 c1ccc2nsnc2c1 c1ccc2nonc2c1 C1=Cc2ccccc2C1 c1ccn2cccc2c1 c1cc2cccccc2c1
""")
ALIPHATIC_RINGS = _listed("""
C1CCCCC1 C1CCCC1 C1CCNCC1 C1COCCN1 C1CC1 C1CCOC1 C1CCCN1 C1CCC=CC1 C1CCOCC1 O=C1C=CCCC1 O=C1CCCCC1
O=C1CCCC1 C1CC=CC1 O=C1NCCC1 O=C1OCCC1 O=C1C=CCC1 C1CCC1 O=C1NC=CC=C1 C1=CCC=C1 C1=CCCC=C1
O=C1C=CCO1 O=C1NC(=O)CC1 O=C1NC(=O)C=C1 C1CCSC1 C1CC2CCC1C2 C1OCCO1 C=C1CCCCC1 C1CC=COC1
O=C1C=COC=C1 O=C1OC=CC=C1 O=C1C=CNC=C1 O=C1C=CC(=O)C=C1 C1CO1 C1COC1 C1CCC2CCCCC2C1 C1C2CCC1C=C2
C1=NCCO1 C1CC2CCC1CC2 O=C1C=CC=CC=C1 C1=CC=CC=CC1 C1=CSC=CS1
""")
LINKERS = _listed("""
** *C* *C=C* *CC* *C(=O)* *C#C* *O* *C(=O)N* *C=CC(=O)* *OC* *N* *C=CC=C* *S* *CCC* *CC=C* *NC*
*C(=O)O* *C=N* *N=N* *SC* *C(=O)C* *C(=O)NC* *S(=O)(=O)* *S(=O)(=O)N* *N(C)* *C(C)=C* *C=C(C#N)*
*CC#C* *C#CC#C* *C=CC#C* *C=CC=CC=C* *C(C)C* *C(=O)OC* *C(=O)N(C)* *COC* *CNC* *CSC* *OCC* *NC(=O)N*
*C(=O)CC* *C=CC(=O)C=C* *C=NN=C* *N(C)C* *C(O)* *CC=CC* *C1CC1* *C(=O)C(=O)* *C(=C)* *C=CC(=O)O*
*S(=O)*
""")
SUBSTITUENTS = _listed("""
*C *OC *F *Cl *CC *C#N *O *N *Br *C(F)(F)F *C(C)=O *N(C)C *[N+](=O)[O-] *C=O *C(=O)OC *C(C)C *C(=O)N
*C=C *C#C *CCC *C(=O)O *NC(C)=O *SC *OCC *C(C)(C)C *CC=C *CO *NC *C(=O)NC *S(C)(=O)=O *N1CCOCC1
*C=CC=C *C=CC#N *C=C(C#N)C#N *C=CC=O *C=CC(C)=O *C=CC(=O)OC *C=C[N+](=O)[O-] *CC#N *COC *CN *CN(C)C
*C1CC1 *C=CC *CC#C *C#CC *C(C)=C *N1CCCC1 *N(CC)CC *C(=O)CC *CC(C)=O *CC(=O)OC *OC(C)=O *C(=O)N(C)C
*OC(F)(F)F *SCC *CSC *CCO *CCN(C)C *CCC#N *CCl *CCBr *S(=O)(=O)N *S(C)=O *OCC=C *NCC=C *SCC=C
*C=CN(C)C *C=NOC *N=C=S *C(N)=S
""")
CHAIN_LINKS = _listed("""
*C* *C=C* *CC* *C(=O)* *C(C)* *C#C* *C(C)=C* *CCC* *C=C(C)* *C(=O)O* *C(=O)N* *O* *C(=O)N(C)* *N(C)*
*S* *C(C)(C)* *C(O)* *N* *C(=C)* *C(CC)* *C=C(Cl)* *C(C#N)=C* *C=C(F)* *C=C(Br)* *C(C#N)*
*S(=O)(=O)* *C(Cl)* *C(F)(F)* *C(OC)* *C(=NOC)* *C(C(=O)OC)=C*
""")

# SMARTS of what falls apart, rearranges or is never met; X in a name is a halogen.
FORBIDDEN = {
    "peroxide, N-O": "[#7,#8,#16;!a]-[#8;!$(*=*);!$([O-]);!$(O-N=C)]",
    "S-S, S-N": "[SX2]~[!#6;!#1;!a]",
    "N-N single bond": "[NX3]-[NX3;!$([N+])]",
    "aromatic N to N, O, S": "[n]-[#7,#8,#16]",
    "N-X, O-X, S-X": "[#7,#8,#16]-[F,Cl,Br]",
    "azo not between arenes": "[#7]=[#7;!a]-[!c]",
    "aminal": "[#7;!$([N+])][CX4][#7,#8,#16,F,Cl,Br]",
    "hemiacetal": "[OX2H][CX4][#7,#8,#16,F,Cl,Br]",
    "open acetal": "[OX2,SX2;!R][CX4;!$(C(F)(F)F)][#7,#8,#16,F,Cl,Br]",
    "ortho acid": "[#7,#8,#16][CX4]([#7,#8,#16])[#7,#8,#16,F,Cl,Br]",
    "alpha-halo ether, sulfone": "[#7,#8,#16][CX4,$([CX3]=C);!$(C(F)(F)F)][F,Cl,Br]",
    "geminal heavy halogens": "[CX4]([Cl,Br])[F,Cl,Br]",
    "enol": "[OX2H][CX3]=[#6,#7]",
    "cyanohydrin": "[OX2H,NX3;!$(N-[C,S]=O)][CX4]C#N",
    "enamine with N-H": "[NX3;H1,H2;!R;!$(N-[C,S]=[O,S])][CX3]=[CX3]",
    "N-H imine": "[CX3]=[NX2H]",
    "imidate, amidine": "[NX2;!R]=[CX3][#7,#8,#16,F,Cl,Br]",
    "1-azadiene": "[CX3]=[NX2]-[CX3]=[!c]",
    "heteroatom on an alkyne": "[#7,#8,#16,F,Cl,Br][CX2]#[#6,#7]",
    "acyl cyanide": "[CX3](=O)C#N",
    "cumulene, ketene": "[#6]=[#6]=[#6,#8,#7]",
    "acyl halide": "[CX3](=O)[F,Cl,Br]",
    "sulfonyl anhydride": "[$([SX4](=O)=O)][$(C=O),O,S,F,Cl,Br]",
    "sulfinyl not between carbons": "[SX3](=O)[!#6]",
    "carbonate": "[CX3](=O)([O,S])[O,S]",
    "anhydride": "[CX3](=O)[O,S][$(C=O)]",
    "thioester": "[CX3](=O)[SX2]",
    "open imide": "[CX3](=O)[NX3;!R]C=O",
    "carbamic acid": "[NX3][CX3](=O)[OX2H]",
    "three carbonyls": "[CX3](=O)[CX3](=O)[CX3]=O",
    "oxalyl pair": "[#7,#8][CX3](=O)[CX3](=O)[#7,#8]",
    "acid that loses CO2": "O=[#6,#16][CX4][CX3](=O)[OX2H]",
    "1,3-dicarbonyl": "[#6,#1][CX3](=O)[CX4;!H0][CX3](=O)[#6,#1]",
    "open enol ester": "[CX3](=O)[OX2;!R][CX3]=[CX3]",
    "eliminates": "[Cl,Br,$(O[CX3]=O)][CX4][CX4;!H0][$([CX3]=O),$(C#N),$(S=O),$([N+])]",
    "alpha-halo carbonyl": "[Cl,Br][CX4][$([CX3]=O),$(C#N),$(S=O)]",
    "heteroatom on an epoxide": "[r3][#7,#8,#16X2,F,Cl,Br;!r3]",
    "triyne": "C#CC#CC#C",
    "isocyanate on sp2": "S=C=N[CX3]",
    "nitramine, acyl nitro": "[NX3,$(C=O)]-[N+](=O)[O-]",
    "aromatises": "[#7,#8,#16,F,Cl,Br;!R][CX4;r6]1[#6]=[#6][#6]=,-[#6][#6]1",
}
# Two groups that would react with each other in one molecule.
BASIC_NITROGEN = "[NX3;!$(N-[#6,#16]=[O,S,N]);!$(N-a);!$([N+])]"
INCOMPATIBLE = [
    ("[CX4][Cl,Br]", BASIC_NITROGEN),
    ("[CX4][Cl,Br]", "[CX3](=O)[OX2H]"),
    ("[CX3H1](=O)[#6]", "[NX3;H1,H2;!$(N-[#6,#16]=[O,S])]"),
    ("[NX2]=C=S", "[NX3;H1,H2;!$(N-C=O)]"),
    ("[NX2]=C=S", "[OX2H]"),
    ("[OX2r3]", BASIC_NITROGEN),
    ("[OX2r3]", "[CX3](=O)[OX2H]"),
    ("[CX3](=O)[OX2H]", BASIC_NITROGEN),
    ("[CX3](=O)[OX2;!R][#6]", "[NX3;H2;!$(N-[#6,#16]=[O,S]);!$(N-c)]"),
]


def drawn(smiles: list[str], rng: random.Random) -> Chem.Mol:
    """One fragment of a list that runs from common to rare."""
    weights = [1 / (6 + rank) for rank in range(len(smiles))]
    return Chem.MolFromSmiles(rng.choices(smiles, weights)[0])


def opened(molecule: Chem.Mol, rng: random.Random) -> Chem.Mol:
    """Replaces one hydrogen of a random ring atom by a dummy atom (`*`)."""
    sites = [atom.GetIdx() for atom in molecule.GetAtoms() if atom.IsInRing() and atom.GetTotalNumHs()]
    editable = Chem.RWMol(molecule)
    site = editable.GetAtomWithIdx(rng.choice(sites))
    site.SetNumExplicitHs(max(0, site.GetNumExplicitHs() - 1))
    editable.AddBond(site.GetIdx(), editable.AddAtom(Chem.Atom(0)), Chem.BondType.SINGLE)
    return editable.GetMol()


def joined(left: Chem.Mol, right: Chem.Mol) -> Chem.Mol:
    """Drops the first dummy atom of each part and bonds the atoms that the two were bonded to."""
    dummies = [next(a.GetIdx() for a in part.GetAtoms() if not a.GetAtomicNum()) for part in (left, right)]
    ends = [
        part.GetAtomWithIdx(dummy).GetNeighbors()[0].GetIdx()
        for part, dummy in zip((left, right), dummies, strict=True)
    ]
    shift = left.GetNumAtoms()
    molecule = Chem.RWMol(Chem.CombineMols(left, right))
    molecule.AddBond(ends[0], ends[1] + shift, Chem.BondType.SINGLE)
    molecule.RemoveAtom(dummies[1] + shift)
    molecule.RemoveAtom(dummies[0])
    Chem.SanitizeMol(molecule)
    return molecule.GetMol()


def random_molecule(rng: random.Random) -> Chem.Mol:
    """One ring, two rings and a linker, or an open chain; with substituents. Raises where no site is free."""

    def ring() -> Chem.Mol:
        return drawn(rng.choices((AROMATIC_RINGS, FUSED_RINGS, ALIPHATIC_RINGS), (40, 22, 38))[0], rng)

    kind = rng.choices(("one ring", "two rings", "chain"), (40, 30, 30))[0]
    if kind == "chain":
        molecule = drawn(SUBSTITUENTS, rng)
        for _ in range(rng.randint(1, 5)):
            molecule = joined(molecule, drawn(CHAIN_LINKS, rng))
        return joined(molecule, drawn(SUBSTITUENTS, rng))
    if kind == "one ring":
        molecule, substituents = ring(), rng.choices((0, 1, 2, 3), (1, 6, 9, 4))[0]
    else:
        molecule = joined(opened(ring(), rng), drawn(LINKERS, rng))
        substituents = rng.choices((0, 1, 2), (4, 5, 2))[0]
        molecule = joined(molecule, opened(ring(), rng))
    for _ in range(substituents):
        molecule = joined(opened(molecule, rng), drawn(SUBSTITUENTS, rng))
    return molecule


class Rules:
    """Which molecules are sensible."""

    def __init__(self) -> None:
        self.forbidden = {name: Chem.MolFromSmarts(smarts) for name, smarts in FORBIDDEN.items()}
        self.incompatible = [tuple(map(Chem.MolFromSmarts, pair)) for pair in INCOMPATIBLE]
        self.nitro = Chem.MolFromSmarts("[#6][N+](=O)[O-]")

    def reason_against(self, molecule: Chem.Mol) -> str | None:
        if molecule.GetNumHeavyAtoms() not in HEAVY_ATOMS:
            return "size"
        atoms = molecule.GetAtoms()
        nitro_groups = len(molecule.GetSubstructMatches(self.nitro))
        if sum(atom.GetFormalCharge() != 0 for atom in atoms) != 2 * nitro_groups or nitro_groups > 2:
            return "charges"
        if any(atom.GetNumRadicalElectrons() for atom in atoms):
            return "radical"
        for name, pattern in self.forbidden.items():
            if molecule.HasSubstructMatch(pattern):
                return name
        if any(all(map(molecule.HasSubstructMatch, pair)) for pair in self.incompatible):
            return "reacts with itself"
        if sascorer.calculateScore(molecule) > HARDEST_SYNTHESIS:
            return "hard to synthesise"
        return None


def with_double_bond_stereo(molecule: Chem.Mol, rng: random.Random) -> Chem.Mol:
    """Marks open double bonds, mostly E. Tetrahedral centres are left to the embedding."""
    Chem.FindPotentialStereoBonds(molecule)
    for bond in molecule.GetBonds():
        if bond.GetStereo() == Chem.BondStereo.STEREOANY:
            bond.SetStereo(Chem.BondStereo.STEREOE if rng.random() < 0.85 else Chem.BondStereo.STEREOZ)
    return molecule


def candidates(seed: int, largest_scaffold: int, rejected: collections.Counter[str]) -> Iterator[str]:
    """Endless SMILES of sensible molecules, no two alike up to stereochemistry and the place of mobile
    hydrogens.

    Args:
      seed: of the random choices.
      largest_scaffold: at most so many with the same Bemis-Murcko scaffold; acyclic ones are not limited.
      rejected: counts the reasons why others were dropped.
    """
    rng, rules = random.Random(seed), Rules()
    seen: set[str] = set()
    scaffold_sizes: collections.Counter[str] = collections.Counter()
    while True:
        try:
            molecule = Chem.MolFromSmiles(Chem.MolToSmiles(random_molecule(rng)))
        except (Chem.MolSanitizeException, IndexError):
            rejected["no free valence"] += 1
            continue
        reason = rules.reason_against(molecule)
        if reason is None:
            identity = rdMolHash.MolHash(Chem.Mol(molecule), rdMolHash.HashFunction.HetAtomTautomer)
            scaffold = MurckoScaffold.MurckoScaffoldSmiles(mol=molecule)
            if identity in seen:
                reason = "duplicate"
            elif scaffold and scaffold_sizes[scaffold] >= largest_scaffold:
                reason = "scaffold is frequent"
        if reason is not None:
            rejected[reason] += 1
            continue
        seen.add(identity)
        scaffold_sizes[scaffold] += 1
        yield Chem.MolToSmiles(with_double_bond_stereo(molecule, rng))
