import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Aws, Token } from 'aws-cdk-lib';

/** A text, a number or a list of texts, each of which may be a token. */
export type Value = string | number | boolean | string[];

interface Parameter {
  readonly Default?: string | number;
  readonly AllowedPattern?: string;
  readonly AllowedValues?: (string | number)[];
  readonly MinValue?: number;
  readonly MaxValue?: number;
  readonly ConstraintDescription?: string;
}

interface Resource {
  readonly Type: string;
  readonly Condition?: string;
  readonly Properties: object;
}

// infra/sam/template.yaml; template.mjs writes it
const TEMPLATE = JSON.parse(readFileSync(join(__dirname, '../template.json'), 'utf8'));
const PARAMETERS: Record<string, Parameter> = TEMPLATE.Parameters;
const RESOURCES = withoutLoops(TEMPLATE.Resources);

const PSEUDO: Record<string, string | undefined> = {
  'AWS::AccountId': Aws.ACCOUNT_ID,
  'AWS::Partition': Aws.PARTITION,
  'AWS::Region': Aws.REGION,
  'AWS::URLSuffix': Aws.URL_SUFFIX,
  'AWS::NoValue': undefined,
};

/**
 * infra/sam/template.yaml with values in place of its parameters: rights, alarms and the dashboard are written only
 * once. The values may be tokens; CloudFormation's own conditions and loops do not accept tokens.
 */
export class Template {
  /** The names of the template's parameters. */
  public static readonly PARAMETERS = Object.keys(PARAMETERS);
  /** The type of each resource. */
  public static readonly TYPES = Object.fromEntries(Object.entries(RESOURCES).map(([name, { Type }]) => [name, Type]));

  private readonly values: Record<string, Value>;

  /**
   * @param given the parameters; a parameter that is missing or undefined has its default
   * @param reference the value of a resource's `Ref` (`Topic`) or `Fn::GetAtt` (`LogGroup.Arn`)
   */
  public constructor(given: Record<string, Value | undefined>, private readonly reference: (name: string) => string) {
    const defaults = Object.entries(PARAMETERS).map(([name, parameter]) => [name, parameter.Default ?? '']);
    const known = Object.entries(given).filter(([, value]) => value !== undefined);
    this.values = { ...Object.fromEntries(defaults), ...Object.fromEntries(known) };
  }

  /** A parameter's value. */
  public value(parameter: string): Value {
    return this.values[parameter];
  }

  /**
   * The errors in the value of a parameter, by the parameter's bounds. A token is always accepted.
   *
   * @param as the parameter's name for the user
   */
  public wrong(parameter: string, as: string): string[] {
    const { AllowedPattern, AllowedValues, MinValue, MaxValue, ConstraintDescription } = PARAMETERS[parameter];
    const pattern = AllowedPattern && new RegExp(`^(?:${AllowedPattern})$`);
    const bounds = MinValue !== undefined && `a number from ${MinValue}${MaxValue === undefined ? '' : ` to ${MaxValue}`}`;
    return [this.values[parameter]].flat().filter((item) => !Token.isUnresolved(item)).flatMap((item) => {
      const fits = (!pattern || pattern.test(String(item)))
        && (!AllowedValues || AllowedValues.map(String).includes(String(item)))
        && (MinValue === undefined || (Number.isInteger(Number(item)) && Number(item) >= MinValue))
        && (MaxValue === undefined || Number(item) <= MaxValue);
      const expected = ConstraintDescription || AllowedValues?.join(', ') || bounds;
      return fits ? [] : [`${as} is ${JSON.stringify(item)}. Expected: ${expected}.`];
    });
  }

  /** Filters these resources: keeps those without a condition, and those whose condition is true with these values. */
  public existing(resources: string[]): string[] {
    return resources.filter((name) => !RESOURCES[name].Condition || this.holds({ Condition: RESOURCES[name].Condition }));
  }

  /**
   * A resource's properties.
   *
   * @param loop the variable of a resource that is made once for each secret
   */
  public properties(resource: string, loop: Record<string, string> = {}): any {
    return this.evaluate(RESOURCES[resource].Properties, loop);
  }

  private evaluate(value: any, loop: Record<string, string>): any {
    if (Array.isArray(value)) return value.map((item) => this.evaluate(item, loop)).filter((item) => item !== undefined);
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries<any>(value);
    const [name, argument] = entries[0] ?? [];
    if (entries.length === 1 && (name === 'Ref' || name.startsWith('Fn::'))) return this.call(name, argument, loop);
    return Object.fromEntries(
      entries.map(([key, item]) => [key, this.evaluate(item, loop)]).filter(([, item]) => item !== undefined),
    );
  }

  private call(name: string, argument: any, loop: Record<string, string>): any {
    switch (name) {
      case 'Ref':
        return this.named(argument, loop);
      case 'Fn::GetAtt':
        return this.reference(argument.join('.'));
      case 'Fn::Sub': {
        const [text, own] = Array.isArray(argument) ? argument : [argument, {}];
        const here = { ...loop, ...this.evaluate(own, loop) };
        return text.replace(/\$\{([^}]+)\}/g, (_: string, what: string) => this.named(what, here));
      }
      case 'Fn::Join':
        return [this.evaluate(argument[1], loop)].flat().join(argument[0]);
      case 'Fn::Split':
        return this.evaluate(argument[1], loop).split(argument[0]);
      case 'Fn::If':
        return this.evaluate(argument[this.holds({ Condition: argument[0] }) ? 1 : 2], loop);
      default:
        throw new Error(`infra/sam/template.yaml uses ${name}, which src/template.ts does not evaluate.`);
    }
  }

  private named(name: string, loop: Record<string, string>): Value | undefined {
    return loop[name] ?? (name in PSEUDO ? PSEUDO[name] : this.values[name] ?? this.reference(name));
  }

  private holds(condition: any): boolean {
    const [[name, argument]] = Object.entries<any>(condition);
    switch (name) {
      case 'Condition':
        return this.holds(TEMPLATE.Conditions[argument]);
      case 'Fn::Not':
        return !this.holds(argument[0]);
      case 'Fn::And':
        return argument.every((item: any) => this.holds(item));
      case 'Fn::Or':
        return argument.some((item: any) => this.holds(item));
      case 'Fn::Equals': {
        const [left, right] = this.evaluate(argument, {});
        return String(left) === String(right); // a token never equals a text
      }
      default:
        throw new Error(`infra/sam/template.yaml uses ${name} in a condition, which src/template.ts does not evaluate.`);
    }
  }
}

/** The resources without loops: `Schedule` in place of the loop over `Schedule&{SecretArn}`. */
function withoutLoops(resources: Record<string, any>): Record<string, Resource> {
  return Object.fromEntries(
    Object.entries(resources).flatMap(([name, resource]) =>
      name.startsWith('Fn::ForEach::')
        ? Object.entries(resource[2]).map(([looped, body]) => [looped.split('&{')[0], body])
        : [[name, resource]],
    ),
  );
}
