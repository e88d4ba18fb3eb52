"""Writes molecules as SDF files, for tests of what users start from."""

from rdkit import Chem

from pg_tf.elements import SYMBOLS


def write_sdf(path, molecules, label="gap"):
    """The molecules as records without bonds: all that pg_tf reads of them. Their titles are hostile to HTML."""
    with Chem.SDWriter(str(path)) as writer:
        for i in range(len(molecules)):
            one = molecules[i]
            record = Chem.RWMol()
            conformer = Chem.Conformer(len(one.atomic_numbers))
            for a, (z, xyz) in enumerate(zip(one.atomic_numbers, one.coords.astype(float), strict=True)):
                atom = Chem.Atom(SYMBOLS[z])
                atom.SetNoImplicit(True)
                record.AddAtom(atom)
                conformer.SetAtomPosition(a, xyz.tolist())
            conformer.Set3D(True)
            record.AddConformer(conformer)
            record.SetProp("_Name", f"[red]<b>{i}</b>")
            if one.labels is not None:
                record.SetDoubleProp(label, float(one.labels[0]))
            writer.write(record)
